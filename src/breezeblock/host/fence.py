# SPDX-License-Identifier: Apache-2.0
"""Who was the last to change a thing of this host: the fence token of its owner, in a file of the thing's name. An owner that was stopped,
taken over and woken again comes with a lower token than the one it finds, and is refused before it makes what nobody would know of. Must
only be asked under the thing's own lock, and must outlive the thing: the late owner may come after it has gone."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

from breezeblock.model.call import Context
from breezeblock.model.errors import Fenced

#: No owner is stopped for so long without having lost its process.
KEPT_SECONDS = 86400.0
#: Twenty digits and a newline: written over in one go.
_LENGTH = 21


class Fence:
    """The tokens in one folder. Token 0 is a caller without rivals: it is not compared."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def require(self, name: str, ctx: Context) -> None:
        """Raises Fenced when a newer owner has been here; otherwise this one is written down. A disk too full for that must not keep a
        volume from being detached."""
        if not ctx.fence:
            return
        path = self._folder / name
        stored = _stored(path)
        if stored > ctx.fence:
            raise Fenced(
                needed=f"fence token {stored} or higher", had=ctx.fence, name=name, operation=ctx.operation
            )
        if stored < ctx.fence:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                _write(path, ctx.fence)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def sweep(self) -> None:
        """Forget the tokens of what nobody has changed for a day."""
        before = time.time() - KEPT_SECONDS
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                if entry.stat().st_mtime < before:
                    Path(entry.path).unlink(missing_ok=True)


def _stored(path: Path) -> int:
    try:
        return int(path.read_bytes()[:_LENGTH].strip() or b"0")
    except FileNotFoundError:
        return 0


def _write(path: Path, token: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, b"%020d\n" % token, 0)
    finally:
        os.close(fd)

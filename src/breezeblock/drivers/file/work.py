# SPDX-License-Identifier: Apache-2.0
"""Drafts: bytes that are not published yet, in work/<name>.<operation>.<fence>. A draft is locked (flock) by the process that writes it,
so that a living owner's draft is told from a dead one's without guessing. Must never publish: that is one rename, made by the caller
under the object's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from breezeblock.host import executor
from breezeblock.host.executor import Mover
from breezeblock.model.call import Context
from breezeblock.model.errors import Malformed

MOVER = ".mover"
_OPERATION = re.compile(r"[0-9A-Za-z-]{0,64}")


class Draft:
    """One unpublished file, open as `fd`. `mover` is for the programs that fill it."""

    def __init__(self, path: Path, fd: int, ctx: Context) -> None:
        self.path, self.fd, self._published = path, fd, False
        self.mover = Mover(ctx, Path(f"{path}{MOVER}"))

    def publish(self, target: Path) -> None:
        """The one rename. Bytes and length must be synced before."""
        self.path.rename(target)
        self._published = True

    def sync(self) -> None:
        os.fsync(self.fd)

    def close(self) -> None:
        if not self._published:
            self.path.unlink(missing_ok=True)
        os.close(self.fd)


class Work:
    """The drafts of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def draft(self, name: str, ctx: Context) -> Iterator[Draft]:
        """A new empty draft; gone at the end unless published. An earlier draft of the same operation and token is begun anew."""
        if not _OPERATION.fullmatch(ctx.operation):
            raise Malformed(
                "This is no operation's id", needed="letters, digits, hyphens", had=repr(ctx.operation)
            )
        path = self._folder / f"{name}.{ctx.operation or 'none'}.{ctx.fence}"
        executor.end_recorded(Path(f"{path}{MOVER}"))
        with self._entrance(fcntl.LOCK_SH):
            path.unlink(missing_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft = Draft(path, fd, ctx)
        try:
            yield draft
        finally:
            draft.close()

    @contextlib.contextmanager
    def _entrance(self, how: int) -> Iterator[None]:
        """Shared: a draft is made and locked. Exclusive: every living draft is locked now."""
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def of(self, name: str) -> list[Path]:
        """The drafts of an object, whoever left them."""
        return [Path(entry.path) for entry in os.scandir(self._folder) if _is_draft_of(entry.name, name)]

    def clear(self, name: str, ctx: Context) -> None:
        """Remove what owners before this one (a lower or the same token) left of the object, after ending their movers. The caller holds
        the object's lock, so that their tokens no longer count."""
        for path in self.of(name):
            fence = int(path.name.rpartition(".")[2])
            if not ctx.fence or fence <= ctx.fence:
                executor.end_recorded(Path(f"{path}{MOVER}"))
                path.unlink(missing_ok=True)

    def clear_dead(self) -> int:
        """At start: remove every draft whose owner is dead. Its lock is free then; nobody takes another owner's draft over, a newer owner
        writes its own. The caller holds the tree's lock (links are drafted under it)."""
        cleared = 0
        with self._entrance(fcntl.LOCK_EX):
            for entry in sorted(
                os.scandir(self._folder), key=lambda entry: entry.name, reverse=True
            ):  # records before drafts
                path = Path(entry.path)
                if MOVER in entry.name:
                    if _is_free(Path(entry.path.partition(MOVER)[0])):
                        executor.end_recorded(path)
                elif entry.is_symlink() or _is_free(path):
                    path.unlink(missing_ok=True)
                    cleared += 1
        return cleared


def _is_draft_of(file: str, name: str) -> bool:
    return file.startswith(f"{name}.") and file.rpartition(".")[2].isdigit()


def _is_free(path: Path) -> bool:
    """Nobody holds the draft's lock (or there is none)."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True

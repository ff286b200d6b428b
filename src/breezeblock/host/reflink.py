# SPDX-License-Identifier: Apache-2.0
"""Files that share their bytes until one is written to (FICLONE on xfs, btrfs and others). The clone is atomic against writers of the
source and includes what they have written so far. Must never fall back to copying: whoever asks for a clone counts on its price."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path

from breezeblock.model.errors import Unsupported

#: _IOW(0x94, 9, int)
_FICLONE = 0x40049409
_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS)


def clone(source: int, target: int) -> None:
    """Make the empty file `target` share all of `source`'s bytes (open file descriptors). Raises Unsupported where it cannot be done."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _CANNOT:
            raise Unsupported(
                "This file system cannot share bytes between files",
                needed="xfs or btrfs",
                had=os.strerror(error.errno),
            ) from error
        raise


def works(folder: Path) -> bool:
    """Tried, not guessed: clones a block within `folder` and looks whether it arrived."""
    with tempfile.TemporaryFile(dir=folder) as source, tempfile.TemporaryFile(dir=folder) as target:
        source.write(b"\xa5" * 4096)
        source.flush()
        try:
            clone(source.fileno(), target.fileno())
        except Unsupported:
            return False
        return target.read() == b"\xa5" * 4096

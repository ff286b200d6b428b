# SPDX-License-Identifier: Apache-2.0
"""File systems made for a test: a sparse file, formatted and mounted over a loop device, gone afterwards."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from breezeblock.model.units import GiB, MiB

#: The smallest that mkfs.xfs makes without complaint is 300 MiB.
XFS_SIZE = GiB
TINY_SIZE = 64 * MiB

_FORMATS = {
    "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"],
    # No journal and no reserved blocks: the tests want to fill it to the last byte.
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=0"],
}


@contextlib.contextmanager
def mounted(format: str, size: int, place: Path) -> Iterator[Path]:
    """A fresh file system at place/disk. Needs root and loop devices (mark tests with requires("root", "loop", ...))."""
    image, disk = place / "disk.img", place / "disk"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(size)
    disk.mkdir()
    subprocess.run([*_FORMATS[format], str(image)], check=True, capture_output=True, timeout=60)
    subprocess.run(
        ["mount", "-o", "loop", str(image), str(disk)], check=True, capture_output=True, timeout=60
    )
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True, capture_output=True, timeout=60)
        image.unlink()

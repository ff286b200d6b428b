# SPDX-License-Identifier: Apache-2.0
"""Questions to a file or block device that change nothing: how long it is, whether it can be read, who holds it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from breezeblock.host.mounts import mounted_at
from breezeblock.host.sockets import comm, open_files
from breezeblock.model import errors


def size(path: Path) -> int:
    """Bytes of a regular file or a block device."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError as absent:
        raise errors.NotThere(
            f"{path} is not there", needed="the volume's file or device", had="nothing"
        ) from absent


def readable(path: Path) -> bool:
    """Can a first block be read?"""
    try:
        with path.open("rb", buffering=0) as device:
            return len(device.read(4096)) > 0
    except OSError:
        return False


def holders(device: str, *, ours: int = 0) -> Sequence[str]:
    """Who uses a block device, for people: mount points, devices on top of it, processes that have it open. `ours`: how many of this
    process' own descriptors do not count."""
    number = Path(device).stat().st_rdev
    found = [f"mounted at {point}" for point in mounted_at(f"{os.major(number)}:{os.minor(number)}")]
    found += [f"device {entry.name}" for entry in Path(f"/sys/block/{Path(device).name}/holders").glob("*")]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        if open_files(pid).count(device) > (ours if pid == os.getpid() else 0):
            found.append(f"open in {comm(pid)} (pid {pid})")
    return found

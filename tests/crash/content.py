# SPDX-License-Identifier: Apache-2.0
"""Bytes in volumes: a block of one value at an offset, written and read back by QEMU's own program behind the service's back (detached
volumes, snapshots) or through the device (attached ones). The value is a tag that the test remembers."""

from __future__ import annotations

import mmap
import os
import subprocess
from pathlib import Path

from breezeblock.drivers.file.folder import Folder
from breezeblock.drivers.file.tree import TreeReader, format_of

BLOCK = 1 << 16


def layer_of(backend: Path, name: str) -> Path:
    """The file that a name ("volume-ID", "snapshot-ID") shows now."""
    folder = Folder(backend)
    file = TreeReader(folder).target(name)
    assert file is not None, f"there is no {name}"
    return folder.layers / file


def write(path: Path, tag: int, at: int = 0) -> None:
    """Into a layer that nobody holds open."""
    _io(path, f"write -P {tag} {at} {BLOCK}", "-f", format_of(path.name))


def holds(path: Path, tag: int, at: int = 0) -> bool:
    """Also while somebody writes elsewhere in it (-U)."""
    if format_of(path.name) == "raw":
        with path.open("rb") as file:
            return os.pread(file.fileno(), BLOCK, at) == bytes([tag]) * BLOCK
    return "verification failed" not in _io(
        path, f"read -P {tag} {at} {BLOCK}", "-r", "-U", "-f", format_of(path.name)
    )


def _io(path: Path, command: str, *options: str) -> str:
    done = subprocess.run(
        ["qemu-io", *options, "-c", command, str(path)], capture_output=True, text=True, timeout=60
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0 or "verification failed" in text, f"qemu-io {command} {path}: {text}"
    return text


def write_device(device: str, tag: int, at: int = 0) -> None:
    """Durable when it returns."""
    with mmap.mmap(-1, BLOCK) as memory:
        memory.write(bytes([tag]) * BLOCK)
        fd = os.open(device, os.O_RDWR | os.O_DIRECT)
        try:
            assert os.pwritev(fd, [memory], at) == BLOCK
            os.fsync(fd)
        finally:
            os.close(fd)


def device_holds(device: str, tag: int, at: int = 0) -> bool:
    with mmap.mmap(-1, BLOCK) as memory:
        fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
        try:
            assert os.preadv(fd, [memory], at) == BLOCK
        finally:
            os.close(fd)
        return memory[:] == bytes([tag]) * BLOCK

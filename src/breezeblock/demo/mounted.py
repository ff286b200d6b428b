# SPDX-License-Identifier: Apache-2.0
"""Content as root: an ext4 file system on the attached block device, mounted in the demonstration's own folder, full of real files. The
writer that goes on through the crash is one more file, verified block by block."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from pathlib import Path

from breezeblock.cli import programs
from breezeblock.demo import tree
from breezeblock.demo.content import Seen, Written

#: Bytes of one write of the background writer, and how many of them its file has room for.
BLOCK, BLOCKS = 256 * 1024, 256
SECONDS = 300.0


class Mounted:
    way = "as root: a block device with ext4, and files in it"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._devices: dict[str, str] = {}
        self._writer: _Writer | None = None

    def attach_options(self, volume: str, *, new: bool) -> list[str]:
        return [*(["--mkfs", "ext4"] if new else []), "--mount", str(self._point(volume))]

    def attached(self, volume: str, reached: str) -> None:
        self._devices[volume] = reached

    def detach_options(self) -> list[str]:
        return ["--unmount"]

    def detached(self, volume: str) -> None:
        self._devices.pop(volume, None)

    def fill(self, volume: str) -> int:
        tree.write(self._point(volume) / "tree")
        self.settle(volume)
        return tree.digest(self._point(volume) / "tree").bytes

    def change(self, volume: str) -> int:
        before = tree.digest(self._point(volume) / "tree")
        tree.change(self._point(volume) / "tree")
        self.settle(volume)
        after = tree.digest(self._point(volume) / "tree")
        assert before.sha256 != after.sha256
        return after.bytes

    def digest(self, volume: str) -> Seen:
        found = tree.digest(self._point(volume) / "tree")
        return Seen(found.sha256, found.bytes, f"{found.files} files")

    def settle(self, volume: str) -> None:
        programs.run(["sync", "-f", str(self._point(volume))], timeout=SECONDS)

    def grow(self, volume: str, size: int) -> int:
        device, point = self._devices[volume], self._point(volume)
        if self._resize(device) != 0:
            # Growing a mounted ext4 needs CAP_SYS_RESOURCE, which even root lacks in some containers.
            programs.run(["umount", str(point)], timeout=SECONDS)
            programs.run(["e2fsck", "-f", "-p", device], timeout=SECONDS, accept=(0, 1))
            programs.run(["resize2fs", device], timeout=SECONDS)
            programs.run(["mount", device, str(point)], timeout=SECONDS)
        facts = os.statvfs(point)
        return facts.f_blocks * facts.f_frsize

    @staticmethod
    def _resize(device: str) -> int:
        done = subprocess.run(
            [programs.need("resize2fs"), device],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
        return done.returncode

    def start_writing(self, volume: str) -> None:
        self._writer = _Writer(self._point(volume) / "written-through-the-crash")
        self._writer.start()

    def stop_writing(self, volume: str) -> Written:
        assert self._writer is not None
        found, self._writer = self._writer.finish(), None
        return found

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.finish()
            self._writer = None
        for volume in list(self._devices):
            point = self._point(volume)
            for options in ([], ["-l"]):
                done = subprocess.run(
                    [programs.need("umount"), *options, str(point)], capture_output=True, timeout=SECONDS
                )
                if done.returncode == 0:
                    break
        self._devices.clear()

    def _point(self, volume: str) -> Path:
        return self._folder / volume


class _Writer(threading.Thread):
    """Writes blocks of known content and calls each written only after its fsync."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path, self._end = path, threading.Event()
        self._flushed: dict[int, int] = {}
        self._count, self._longest, self._errors = 0, 0.0, list[str]()

    def run(self) -> None:
        try:
            with self._path.open("wb") as file:
                while not self._end.is_set():
                    began = time.monotonic()
                    place = self._count % BLOCKS
                    os.pwrite(file.fileno(), _block(self._count), place * BLOCK)
                    os.fsync(file.fileno())
                    self._flushed[place] = self._count
                    self._longest = max(self._longest, time.monotonic() - began)
                    self._count += 1
        except OSError as why:
            self._errors.append(str(why))

    def finish(self) -> Written:
        self._end.set()
        self.join(60)
        if self.is_alive():
            self._errors.append("a write did not return within 60 s")
        else:
            self._verify()
        return Written(self._count * BLOCK, self._count, self._longest, tuple(self._errors))

    def _verify(self) -> None:
        try:
            with self._path.open("rb") as file:
                # What was written must come from the disk, not from the page cache.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                for place, number in self._flushed.items():
                    if os.pread(file.fileno(), BLOCK, place * BLOCK) != _block(number):
                        self._errors.append(f"block {place} does not hold what was flushed to it")
        except OSError as why:
            self._errors.append(str(why))


def _block(number: int) -> bytes:
    """Content that no other block has."""
    return hashlib.sha256(number.to_bytes(8, "big")).digest() * (BLOCK // 32)

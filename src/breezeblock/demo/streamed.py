# SPDX-License-Identifier: Apache-2.0
"""Content as an ordinary user: no device and no mount, bytes over NBD with nbdcopy and qemu-io. The first half of the disk holds the
content that is compared; the writer that goes on through the crash has the second."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import threading
import time
from pathlib import Path

from breezeblock.cli import programs
from breezeblock.cli.reached import nbd, spell
from breezeblock.demo.content import Seen, Written

#: Bytes at the start of a volume that are compared, and of those, how many are written first.
COMPARED, FILLED = 1 << 30, 240 << 20
BLOCK, BLOCKS = 256 * 1024, 256
CHUNK = 1 << 20
SECONDS = 300.0
_PROMPT = b"qemu-io> "


class Streamed:
    way = "as an ordinary user: bytes over NBD, without a device"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._uris: dict[str, str] = {}
        self._writer: _Writer | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def attach_options(self, volume: str, *, new: bool) -> list[str]:
        return []

    def attached(self, volume: str, reached: str) -> None:
        self._uris[volume] = reached

    def detach_options(self) -> list[str]:
        return []

    def detached(self, volume: str) -> None:
        self._uris.pop(volume, None)

    def fill(self, volume: str) -> int:
        source = random.Random(1)  # noqa: S311 - content, no secret
        content = self._folder / "content"
        with content.open("wb") as file:
            for _ in range(FILLED // CHUNK):
                file.write(source.randbytes(CHUNK))
        try:
            programs.run(["nbdcopy", "--flush", str(content), self._uris[volume]], timeout=SECONDS)
        finally:
            content.unlink()
        return FILLED

    def change(self, volume: str) -> int:
        # Over old content and beside it, in places that are not aligned to anything.
        places = [(number * 37_000_003 // 512 * 512, 1_000_448) for number in range(20)]
        self._io(volume, *[f"write -P {40 + i} {at} {size}" for i, (at, size) in enumerate(places)], "flush")
        return sum(size for _, size in places)

    def digest(self, volume: str) -> Seen:
        whole, left = hashlib.sha256(), COMPARED
        with subprocess.Popen(
            [programs.need("nbdcopy"), "--synchronous", self._uris[volume], "-"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=programs.environment(),
        ) as process:
            assert process.stdout is not None
            try:
                while left and (chunk := process.stdout.read(min(CHUNK, left))):
                    whole.update(chunk)
                    left -= len(chunk)
            finally:
                process.kill()
        if left:
            raise RuntimeError(
                f"only {COMPARED - left} of {COMPARED} bytes could be read from {self._uris[volume]}"
            )
        return Seen(whole.hexdigest(), COMPARED, "all bytes")

    def settle(self, volume: str) -> None:
        self._io(volume, "flush")

    def grow(self, volume: str, size: int) -> int:
        # The last bytes of the grown disk can be written and read.
        self._io(volume, f"write -P 7 {size - 65536} 65536", "flush", f"read -P 7 {size - 65536} 65536")
        return size

    def start_writing(self, volume: str) -> None:
        self._writer = _Writer(self._node(volume))
        self._writer.start()

    def stop_writing(self, volume: str) -> Written:
        assert self._writer is not None
        found, self._writer = self._writer.finish(), None
        return found

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.finish()
            self._writer = None
        self._uris.clear()

    def _node(self, volume: str) -> str:
        return spell({"driver": "raw", "file": nbd(self._uris[volume])})

    def _io(self, volume: str, *commands: str) -> None:
        words = [word for command in commands for word in ("-c", command)]
        done = programs.run(["qemu-io", "-t", "writeback", *words, self._node(volume)], timeout=SECONDS)
        if "failed" in done.stdout:
            raise RuntimeError(done.stdout.strip().splitlines()[-1])


class _Writer(threading.Thread):
    """One qemu-io that writes blocks of known content; a block counts once the flush after it has been answered."""

    def __init__(self, node: str) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()
        self._flushed: dict[int, int] = {}
        self._count, self._longest, self._errors = 0, 0.0, list[str]()
        self._process = subprocess.Popen(
            [programs.need("qemu-io"), "-t", "writeback", node],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=programs.environment(),
        )

    def run(self) -> None:
        self._answer()
        while not self._end.is_set() and not self._errors:
            began, place = time.monotonic(), self._count % BLOCKS
            self._do(f"write -P {self._count % 255 + 1} {COMPARED + place * BLOCK} {BLOCK}")
            self._do("flush")
            if not self._errors:
                self._flushed[place] = self._count
                self._longest = max(self._longest, time.monotonic() - began)
                self._count += 1
        for place, number in self._flushed.items():
            if not self._errors:
                self._do(f"read -P {number % 255 + 1} {COMPARED + place * BLOCK} {BLOCK}")
        self._process.terminate()

    def finish(self) -> Written:
        self._end.set()
        self.join(60)
        if self.is_alive():
            self._errors.append("a write did not return within 60 s")
        self._process.kill()
        self._process.communicate()
        return Written(self._count * BLOCK, self._count, self._longest, tuple(self._errors))

    def _do(self, command: str) -> None:
        """One command at a time: what is sent before the prompt is read and never run."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as why:
            self._errors.append(str(why))
            return
        for line in self._answer().splitlines():
            if "failed" in line or "rror" in line:
                self._errors.append(line.strip())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        text = b""
        while not text.endswith(_PROMPT):
            if not (more := os.read(self._process.stdout.fileno(), 4096)):
                self._errors.append("qemu-io ended")
                break
            text += more
        return text.removesuffix(_PROMPT).decode("utf-8", "replace")

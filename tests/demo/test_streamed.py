# SPDX-License-Identifier: Apache-2.0
"""Content over NBD, on a real NBD server: the writer tells the truth, also when the disk fails under it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.demo import streamed
from breezeblock.demo.streamed import Streamed

pytestmark = pytest.mark.requires("qemu-nbd", "qemu-io", "nbdcopy")


class Disk:
    def __init__(self, folder: Path) -> None:
        self.path, self._socket = folder / "disk", folder / "nbd.sock"
        with self.path.open("wb") as file:
            file.truncate(32 << 20)
        self._server = subprocess.Popen(
            ["qemu-nbd", "-f", "raw", "-x", "v", "-k", str(self._socket), "-t", "-e", "4", str(self.path)]
        )
        deadline = time.monotonic() + 20
        while not self._socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.uri = f"nbd+unix:///v?socket={self._socket}"

    def kill(self) -> None:
        self._server.kill()
        self._server.wait(20)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(streamed, "COMPARED", 16 << 20)
    monkeypatch.setattr(streamed, "FILLED", 4 << 20)
    monkeypatch.setattr(streamed, "BLOCKS", 8)
    found = Disk(tmp_path)
    yield found
    found.kill()


@pytest.fixture
def content(disk: Disk, tmp_path: Path) -> Streamed:
    found = Streamed(tmp_path / "stream")
    found.attached("disk", disk.uri)
    return found


def test_what_was_filled_is_what_is_read(content: Streamed, disk: Disk) -> None:
    assert content.fill("disk") == 4 << 20
    first = content.digest("disk")
    assert first == content.digest("disk")
    with disk.path.open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"damage")
    assert content.digest("disk").sha256 != first.sha256


def test_growing_uses_the_last_bytes(content: Streamed) -> None:
    assert content.grow("disk", 32 << 20) == 32 << 20


def test_the_writer_writes_beside_what_is_compared(content: Streamed) -> None:
    before = content.digest("disk")
    content.start_writing("disk")
    time.sleep(0.3)
    written = content.stop_writing("disk")
    assert written.errors == ()
    assert written.flushes > 8
    assert written.longest > 0
    assert content.digest("disk") == before


def test_the_writer_reports_a_disk_that_fails(content: Streamed, disk: Disk) -> None:
    content.start_writing("disk")
    time.sleep(0.2)
    disk.kill()
    assert content.stop_writing("disk").errors


def test_the_writer_notices_bytes_that_were_lost_after_a_flush(content: Streamed, disk: Disk) -> None:
    content.start_writing("disk")
    writer = content._writer
    assert writer is not None
    plain = writer._do

    def lose_then_do(command: str) -> None:
        if command.startswith("read"):
            with disk.path.open("r+b") as file:
                file.seek(16 << 20)
                file.write(bytes(16 << 20))
        plain(command)

    writer._do = lose_then_do  # type: ignore[method-assign]
    time.sleep(0.2)
    assert any("verification failed" in error for error in content.stop_writing("disk").errors)

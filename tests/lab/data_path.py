# SPDX-License-Identifier: Apache-2.0
"""A place for tests that make real exports and devices: a short folder with images, a target and a connector on it, and at the end the
proof that nothing is left: no loop device, no mount, no process. What a failed test left is cleared, and the test fails for it too."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from breezeblock.brick.connector import Identity
from breezeblock.brick.local import LocalConnector
from breezeblock.brick.nbd import NbdConnector
from breezeblock.host import loop, mounts, processes
from breezeblock.model.call import Context
from breezeblock.model.reach import FileReach
from breezeblock.targets.local import LocalTarget
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.target import ConnectionInfo, Export, Mode, Target

MIB = 1 << 20
HERE = {"host": socket.gethostname(), "ip": "127.0.0.1"}


class Ground:
    """`run` and `state` are what a service keeps; `disks` are a driver's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run, self.state, self.disks = folder / "run", folder / "state", folder / "disks"
        self.disks.mkdir()
        self.ctx = Context()

    def image(self, name: str, format: str, size: int = 64 * MIB, *, on: Path | None = None) -> FileReach:
        path = self.disks / f"{name}.{format}"
        if path.exists():
            return FileReach(str(path), format)
        words = ["qemu-img", "create", "-q", "-f", format]
        words += ["-b", on.name, "-F", on.suffix.removeprefix(".")] if on is not None else []
        run([*words, str(path), *([] if on is not None else [str(size)])])
        return FileReach(str(path), format)

    def nbd(self) -> NbdTarget:
        return NbdTarget(self.run)

    def nbd_connector(self) -> NbdConnector:
        return NbdConnector(self.state)

    def local(self) -> LocalTarget:
        return LocalTarget(self.run)

    def local_connector(self) -> LocalConnector:
        return LocalConnector(self.state)

    def exported(
        self, target: Target, reach: FileReach, volume_id: str = "v1", size: int = 64 * MIB
    ) -> Export:
        return target.export(reach, volume_id, size, Mode.RW, self.ctx)

    def left(self) -> Sequence[str]:
        """What of this place the machine still carries."""
        inside = str(self.folder)
        found = [f"mount {mount.point}" for mount in mounts.mounts() if mount.point.startswith(inside)]
        for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
            with contextlib.suppress(OSError):
                if entry.read_text().startswith(inside):
                    found.append(f"loop device {entry.parent.parent.name}")
        return found + [f"process {pid}" for pid in self._carriers()]

    def clear(self) -> None:
        """By force, for tests that failed half-way."""
        for pid in self._carriers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for device in loop.attached():
            with contextlib.suppress(OSError):
                backing = Path(f"/sys/block/{device.name}/loop/backing_file").read_text()
                if backing.startswith(str(self.folder)):
                    number = Path(device.device).stat().st_rdev
                    for point in mounts.mounted_at(f"{os.major(number)}:{os.minor(number)}"):
                        subprocess.run(["umount", "-l", point], check=False)
                    loop.detach(device, lossy=True)
        for mount in reversed(mounts.mounts()):
            if mount.point.startswith(str(self.folder)):
                mounts.abandon(Path(mount.point))

    def _carriers(self) -> list[int]:
        wanted, found = os.fsencode(self.folder), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if wanted in (entry / "cmdline").read_bytes() and processes.start_time(int(entry.name)):
                        found.append(int(entry.name))
        return found


@pytest.fixture
def ground() -> Iterator[Ground]:
    folder = Path(tempfile.mkdtemp(prefix="bb-"))  # short: sockets live under it
    place = Ground(folder)
    try:
        yield place
        left = place.left()
    finally:
        place.clear()
        shutil.rmtree(folder)
    assert not left, f"the test left behind: {', '.join(left)}"


def run(words: Sequence[str], timeout: float = 60.0) -> str:
    """A program's output; what it complained about is in the failure."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout


def as_given(info: ConnectionInfo) -> dict[str, Any]:
    """Connection info as a connector gets it."""
    return {"driver_volume_type": info.driver_volume_type, "data": dict(info.data)}


def identity(export: Export) -> Identity:
    return Identity(volume_id=export.volume_id, size=export.size)

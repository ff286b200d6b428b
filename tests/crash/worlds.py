# SPDX-License-Identifier: Apache-2.0
"""Where worlds stand: a short folder for the service, and its volumes either as overlays on the machine's file system or as clones
on an xfs of their own. One world a kind of backend; one that a failed test left in disorder is ended by force and made anew."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.crash.service import Launcher, Service
from tests.crash.world import World
from tests.drivers.disks import mounted

#: Sparse: volumes promise 1 GiB each and use kilobytes.
DISK = 64 << 30


def end_by_force(folder: Path) -> list[str]:
    """Processes, mounts and loop devices that still carry the folder: ended, and named."""
    mark, found = f"{folder}/", []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if mark in words or f"{os.readlink(entry / 'cwd')}/".startswith(mark):
                    found.append(f"process {entry.name} {words}")
                    os.kill(int(entry.name), signal.SIGKILL)
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        point = line.split()[4]
        if point.startswith(mark):
            found.append(f"mount {point}")
            subprocess.run(["umount", "-l", point], timeout=30)
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if backing.read_text().startswith(mark):
                found.append(f"loop device {backing.parts[3]}")
                subprocess.run(["losetup", "-d", f"/dev/{backing.parts[3]}"], timeout=30)
    return found


@contextlib.contextmanager
def ground(clones: bool) -> Iterator[tuple[Path, Path]]:
    """(a short folder for a service, a folder for its volumes: overlays on the machine's file system, or clones on an xfs of its own)."""
    folder, place = Path(tempfile.mkdtemp(prefix="bbc-")), Path(tempfile.mkdtemp(prefix="bbd-"))
    try:
        with contextlib.ExitStack() as stack:
            disk = stack.enter_context(mounted("xfs", DISK, place)) if clones else place
            stack.callback(end_by_force, folder)
            stack.callback(end_by_force, disk / "volumes")
            yield folder, disk / "volumes"
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(place)


class Worlds:
    """Hands out the world of a kind of backend; `renew` after a failure."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher, self._open = launcher, dict[str, tuple[World, contextlib.ExitStack]]()

    def get(self, kind: str) -> World:
        if kind not in self._open:
            stack = contextlib.ExitStack()
            folder, volumes = stack.enter_context(ground(kind == "clones"))
            world = World(Service(self._launcher, folder, volumes))
            stack.callback(world.close)
            self._open[kind] = world, stack
        return self._open[kind][0]

    def renew(self, kind: str) -> None:
        if kind in self._open:
            self._open.pop(kind)[1].close()

    def close(self) -> None:
        for kind in list(self._open):
            self.renew(kind)

# SPDX-License-Identifier: Apache-2.0
"""What a failed run could leave on the machine: mounts, loop devices and processes that lie on the demonstration's own folders. Finds
them by those folders alone, ends them, and answers what would not go. A run that went well has none: then this changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from breezeblock.cli import programs

SECONDS = 30.0


def remove(*folders: Path) -> list[str]:
    """What is on a device, then the device, then what the device lies on, then the processes behind it: each holds the next. Answers what
    is left afterwards, in words."""
    # Seen first: a loop device whose file is unmounted lazily no longer tells the path by which it is found.
    held = loops(folders)
    _unmount(mounts(folders, on="/dev/"))
    for loop in held:
        subprocess.run([programs.need("losetup"), "-d", loop], capture_output=True, timeout=SECONDS)
    _unmount(mounts(folders))
    for number in (signal.SIGTERM, signal.SIGKILL):
        found = list(processes(folders))
        for pid in found:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + 5
        while found and time.monotonic() < deadline and any(True for _ in processes(folders)):
            time.sleep(0.05)
    return (
        [f"mount {point}" for point in mounts(folders)]
        + [f"loop device {loop}" for loop in sorted({*loops(folders), *(one for one in held if _bound(one))})]
        + [f"process {pid}" for pid in processes(folders)]
    )


def _unmount(points: list[Path]) -> None:
    for point in points:
        for options in ([], ["-l"]):
            command = [programs.need("umount"), *options, str(point)]
            if subprocess.run(command, capture_output=True, timeout=SECONDS).returncode == 0:
                break


def _bound(loop: str) -> bool:
    return Path("/sys/block", Path(loop).name, "loop").exists()


def mounts(folders: tuple[Path, ...], on: str = "") -> list[Path]:
    """Mount points below the folders, the innermost first; `on`: only those whose source begins so."""
    found = []
    for line in (
        Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    ):
        fields, _, tail = line.partition(" - ")
        point = Path(fields.split(" ")[4])
        if tail.split(" ")[1].startswith(on) and any(point.is_relative_to(folder) for folder in folders):
            found.append(point)
    return found[::-1]


def loops(folders: tuple[Path, ...]) -> list[str]:
    """Loop devices whose file lies below the folders."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            path = Path(
                backing.read_text(encoding="utf-8", errors="surrogateescape")
                .strip()
                .removesuffix(" (deleted)")
            )
        except OSError:
            continue
        if any(path.is_relative_to(folder) for folder in folders):
            found.append(f"/dev/{backing.parent.parent.name}")
    return found


def processes(folders: tuple[Path, ...]) -> Iterator[int]:
    """Processes of this user that name one of the folders on their command line, ourselves apart."""
    wanted = [os.fsencode(folder) for folder in folders]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (os.getpid(), os.getppid()):
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            mine = entry.stat().st_uid == os.geteuid()
        except OSError:
            continue
        if mine and any(word.find(folder) >= 0 for word in words for folder in wanted):
            yield int(entry.name)

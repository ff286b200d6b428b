# SPDX-License-Identifier: Apache-2.0
"""Finds what tests left behind: processes, loop devices and mounts that belong to one test run, or to any test run of this
checkout. They are told by paths and by the mark in their environment, never by a program's name: another person's
qemu-storage-daemon, and the disks of a service that this checkout serves, are not ours to touch."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RUN_MARK = "BREEZEBLOCK_TEST_RUN"


class Leftover(NamedTuple):
    kind: str  # process, loop, mount, folder
    name: str  # pid, /dev/loopN, mount point, path
    text: str


def run_prefix(checkout: Path) -> str:
    """How the temporary folders of this checkout's test runs begin. Short: unix sockets live in them."""
    return f"bbt-{hashlib.sha256(str(checkout).encode()).hexdigest()[:6]}-"


def _ancestors() -> set[int]:
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def processes(place: str, mark: str) -> Iterator[Leftover]:
    """Those whose working directory, program or arguments name `place`, or whose environment carries `mark`."""
    ours = _ancestors()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in ours:
            continue
        with contextlib.suppress(OSError):
            if _zombie(int(entry.name)):
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            told = [command]
            for link in ("cwd", "exe"):
                with contextlib.suppress(OSError):
                    told.append(str((entry / link).readlink()))
            environment = b""
            with contextlib.suppress(OSError):
                environment = (entry / "environ").read_bytes()
            marked = any(line.startswith(mark.encode()) for line in environment.split(b"\0"))
            if marked or any(place in text for text in told):
                yield Leftover("process", entry.name, command[:160] or "(no arguments)")


def loops(place: str) -> Iterator[Leftover]:
    for backing in sorted(Path("/sys/block").glob("loop*/loop/backing_file")):
        with contextlib.suppress(OSError):
            text = backing.read_text().strip()
            if place in text:
                yield Leftover("loop", f"/dev/{backing.parts[3]}", text)


def mounts(place: str) -> Iterator[Leftover]:
    """Innermost first, so that they can be unmounted in this order."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode().decode("unicode_escape")
        source = right.split()[1]
        if place in point or place in source:
            found.append(Leftover("mount", point, f"{right.split()[0]} from {source}"))
    yield from reversed(found)


def find(place: str, mark: str) -> list[Leftover]:
    return [*processes(place, mark), *mounts(place), *loops(place)]


def settle(place: str, mark: str, seconds: float = 5.0) -> list[Leftover]:
    """What is still there after a short while: a process that was told to end may take a moment."""
    deadline = time.monotonic() + seconds
    while (found := find(place, mark)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def end(found: list[Leftover]) -> None:
    """Processes first (they hold the files), then mounts, then loop devices."""
    for one in found:
        if one.kind == "process":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(one.name), signal.SIGKILL)
    for one in found:
        command = {
            "mount": ["umount", "-l", one.name],
            "loop": ["losetup", "-d", one.name],
        }.get(one.kind)
        if command:
            subprocess.run(command, timeout=30, capture_output=True, env=os.environ | {"LC_ALL": "C"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument(
        "--end", action="store_true", help="end what is found, and delete the folders of test runs"
    )
    chosen = parser.parse_args()
    checkout = chosen.checkout.resolve()
    place = run_prefix(checkout)
    found = find(place, f"{RUN_MARK}={checkout}:")
    for one in found:
        print(f"{'ended' if chosen.end else 'found'}: {one.kind} {one.name}: {one.text}", file=sys.stderr)
    if chosen.end:
        end(found)
        for folder in Path(tempfile.gettempdir()).glob(f"{place}*"):
            subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], timeout=120)
    return 1 if found and not chosen.end else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""What volumes hold, written and read by QEMU itself through the reach that a driver gives: a volume is a row of slots of one byte
value each, so that a whole content is a short list and a difference names its place."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from breezeblock.model.reach import FileReach, Reach

SLOT = 256 << 10


def _qemu_io(reach: Reach, commands: Sequence[str], *options: str) -> subprocess.CompletedProcess[str]:
    assert isinstance(reach, FileReach)
    argv = ["qemu-io", *options, "-f", reach.format]
    for command in commands:
        argv += ["-c", command]
    return subprocess.run([*argv, reach.path], capture_output=True, text=True, timeout=60)


def _done(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stdout + result.stderr


def write(reach: Reach, slots: Mapping[int, int]) -> None:
    """Fill slots: number -> byte value."""
    _done(_qemu_io(reach, [f"write -P {value} {slot * SLOT} {SLOT}" for slot, value in slots.items()]))


def discard(reach: Reach, slot: int) -> None:
    """Make a slot read as zeros without storing any."""
    _done(_qemu_io(reach, [f"write -z -u {slot * SLOT} {SLOT}"], "-d", "unmap"))


def differences(reach: Reach, slots: Sequence[int]) -> list[int]:
    """Slots that do not read as expected. An empty list is what every test wants to see."""
    commands = [f"read -P {value} {slot * SLOT} {SLOT}" for slot, value in enumerate(slots)]
    done = _qemu_io(reach, commands, "-r", "-U")
    wrong, slot = [], -1
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith("Pattern verification failed"):
            wrong.append(slot + 1)
        elif line.startswith("read "):
            slot += 1
    assert slot + 1 == len(slots), done.stdout + done.stderr
    return wrong


def check(reach: Reach) -> None:
    """The image's own tables agree."""
    assert isinstance(reach, FileReach)
    if reach.format == "qcow2":
        done = subprocess.run(
            ["qemu-img", "check", "-U", "-f", "qcow2", reach.path], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

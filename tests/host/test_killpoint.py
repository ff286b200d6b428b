# SPDX-License-Identifier: Apache-2.0
"""A process dies at the point that is named, at the visit that is named, and nowhere else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
from breezeblock.host.killpoint import reach
for number in range(3):
    reach("other")
    reach("here")
    print(number, flush=True)
"""


def visit(**armed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **armed}, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("armed", "printed", "code"),
    [
        ("", "0\n1\n2\n", 0),
        ("nowhere", "0\n1\n2\n", 0),
        ("here", "", -9),
        ("here:1", "", -9),
        ("here:3", "0\n1\n", -9),
    ],
)
def test_kill(armed: str, printed: str, code: int) -> None:
    process = visit(BREEZEBLOCK_KILL_AT=armed)
    assert process.communicate(timeout=30)[0] == printed
    assert process.returncode == code


def test_stop_and_go_on() -> None:
    process = visit(BREEZEBLOCK_STOP_AT="here:2")
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=30)[0] == "0\n1\n2\n"
    assert process.returncode == 0

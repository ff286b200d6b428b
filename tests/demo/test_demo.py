# SPDX-License-Identifier: Apache-2.0
"""The demonstration itself, whole: as root on a block device, and interrupted. Nothing may be left behind in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.demo import traces

DEMO = [sys.executable, "-m", "breezeblock.demo"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.requires("root", "loop", "fuse", "qemu-storage-daemon", "nbdfuse", "mkfs.ext4"),
]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demonstration makes its temporary folder; empty again afterwards, with nothing on the machine that names it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []
    assert traces.mounts((tmp_path,)) == []
    assert traces.loops((tmp_path,)) == []
    assert list(traces.processes((tmp_path,))) == []


def test_a_volume_lives_its_whole_life_and_nothing_is_left(room: Path) -> None:
    done = subprocess.run([*DEMO, "--exit"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.index("STEP ") :].splitlines()
    assert len(table) == 1 + 13 + 1
    assert "0 errors" in done.stdout
    moved = [line for line in table if line.startswith("total")]
    assert "GiB" in moved[0]


def test_ctrl_c_in_the_middle_tidies_up(room: Path) -> None:
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "✓ write content" in line:
            break
    time.sleep(0.5)
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait(120) == 130
    demo.stdout.close()
    assert "interrupted" in rest


def test_it_serves_on_until_ctrl_c(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from breezeblock.demo import __main__ as program

    def stop_soon(life: program.Life, report: program.Report) -> None:
        assert life.instance.ask("status")["status"]["version"]
        os.kill(os.getpid(), signal.SIGINT)

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(program, "STEPS", program.STEPS[:2])
    monkeypatch.setattr(program, "_serve_on", stop_soon)
    try:
        assert program.main([]) == 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def test_keep_leaves_the_volumes_and_the_attachment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from breezeblock.demo import __main__ as program

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(program, "STEPS", program.STEPS[:3])
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert program.main(["--exit", "--keep"]) == 0
        (folder,) = tmp_path.iterdir()
        assert (folder / "data" / "admin.json").exists()
        assert len(traces.mounts((folder,))) >= 1
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        assert traces.remove(tmp_path) == []

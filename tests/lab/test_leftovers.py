# SPDX-License-Identifier: Apache-2.0
"""What a test run leaves behind is found by its place or its mark, ended, and nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.dev import leftovers

SLEEP = "import time; print(flush=True); time.sleep(60)"


def _sleeper(*arguments: str, cwd: Path, mark: str = "") -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"]} | ({leftovers.RUN_MARK: mark} if mark else {})
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEP, *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / f"place-{uuid.uuid4().hex}"
    folder.mkdir()
    return folder


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started = []

    def start(*arguments: str, cwd: Path = tmp_path, mark: str = "") -> subprocess.Popen[bytes]:
        started.append(_sleeper(*arguments, cwd=cwd, mark=mark))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def _pids(place: Path, mark: str) -> set[int]:
    return {int(one.name) for one in leftovers.find(str(place), mark) if one.kind == "process"}


def test_a_process_is_found_by_its_folder_its_arguments_or_its_mark(
    place: Path, sleepers: Callable[..., subprocess.Popen[bytes]]
) -> None:
    run = f"/checkout:{uuid.uuid4().hex}"
    inside = sleepers(cwd=place)
    naming = sleepers(str(place / "volume.qcow2"))
    marked = sleepers(mark=run)
    sleepers(mark="/another/checkout:1")
    assert _pids(place, f"{leftovers.RUN_MARK}={run}") == {inside.pid, naming.pid, marked.pid}


def test_ending_kills_what_was_found_and_no_other(
    place: Path, sleepers: Callable[..., subprocess.Popen[bytes]]
) -> None:
    ours, other = sleepers(cwd=place), sleepers()
    leftovers.end(leftovers.find(str(place), "NO_SUCH_MARK="))
    assert ours.wait(10) != 0
    assert other.poll() is None


def test_a_process_that_ended_but_was_not_waited_for_is_no_leftover(
    place: Path, sleepers: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = sleepers(cwd=place)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert _pids(place, "NO_SUCH_MARK=") == set()


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "losetup", "mkfs.ext4")
def test_a_loop_device_and_its_mount_are_found_and_ended(place: Path) -> None:
    image, point = place / "image", place / "point"
    point.mkdir()
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True, timeout=60)
    made = subprocess.run(
        ["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True, timeout=30
    )
    device = made.stdout.strip()
    try:
        subprocess.run(["mount", device, str(point)], check=True, timeout=30)
        found = leftovers.find(str(place), "NO_SUCH_MARK=")
        assert [(one.kind, one.name) for one in found] == [("mount", str(point)), ("loop", device)]
    finally:
        leftovers.end(leftovers.find(str(place), "NO_SUCH_MARK="))
    assert leftovers.settle(str(place), "NO_SUCH_MARK=") == []


def test_runs_of_two_checkouts_use_different_short_names() -> None:
    one, two = leftovers.run_prefix(Path("/a")), leftovers.run_prefix(Path("/b"))
    assert one != two
    assert len(one) <= 12

# SPDX-License-Identifier: Apache-2.0
"""What a failed run could leave is found by its folder alone, and goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from breezeblock.demo import traces


def test_a_process_that_names_the_folder_is_ended_and_no_other(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours = subprocess.Popen([*sleep, str(tmp_path / "volume.sock")])
    other = subprocess.Popen(sleep)
    try:
        assert list(traces.processes((tmp_path,))) == [ours.pid]
        # Ended children stay until they are waited for: their command line is empty by then.
        assert traces.remove(tmp_path) == []
        assert ours.wait(10) != 0
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


@pytest.mark.requires("root", "loop", "mkfs.ext4", "losetup")
def test_a_mounted_loop_device_in_the_folder_goes(tmp_path: Path) -> None:
    image, point = tmp_path / "image", tmp_path / "mount"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    point.mkdir()
    run: dict[str, Any] = {"check": True, "timeout": 60, "capture_output": True, "text": True}
    loop = subprocess.run(["losetup", "--find", "--show", image], **run).stdout.strip()
    subprocess.run(["mkfs.ext4", "-q", loop], **run)
    subprocess.run(["mount", loop, point], **run)
    assert traces.mounts((tmp_path,)) == [point]
    assert traces.loops((tmp_path,)) == [loop]
    assert traces.remove(tmp_path) == []
    assert traces.mounts((tmp_path,)) == []
    assert traces.loops((tmp_path,)) == []


def test_where_there_is_nothing_nothing_is_done(tmp_path: Path) -> None:
    assert traces.remove(tmp_path) == []

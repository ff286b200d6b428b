# SPDX-License-Identifier: Apache-2.0
"""What a guest sees while the service beside its disk is killed, restarted and put to work: nothing. fio writes and verifies an attached
volume all the while; one error or one wrong checksum ends it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.world import World

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.requires("fio")]

MIB = 1 << 20
#: Seconds of work under load, and what fio may take beyond.
LOAD, PATIENCE = 30, 90


class Guest:
    """fio on a device; `finish` waits for it and wants no error."""

    def __init__(self, place: Path, device: str, *options: str) -> None:
        self._report = place / "fio.json"
        words = [
            "fio",
            "--name=guest",
            f"--filename={device}",
            "--ioengine=psync",
            "--direct=1",
            "--bs=4k-64k",
        ]
        words += ["--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--size=192M"]
        words += ["--output-format=json", f"--output={self._report}", *options]
        self._process = subprocess.Popen(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @property
    def works(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> dict[str, Any]:
        said, _ = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0, said.decode(errors="replace")
        text = self._report.read_text()
        job: dict[str, Any] = json.loads(text[text.index("{") :])["jobs"][0]
        assert job["error"] == 0 and job.get("total_err", 0) == 0, job
        return job

    def end(self) -> None:
        if self.works:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def again(world: World) -> None:
    world.service.kill()
    world.recover()
    world.truth.settled(30.0)


@pytest.mark.parametrize("backend", ["overlays", "clones"])
def test_a_guest_notices_nothing_of_kills_snapshots_clones_and_growth(
    backend: str, world: World, tmp_path: Path
) -> None:
    volume = world.volume(size=1)
    device = world.attach(volume)
    guest = Guest(
        tmp_path, device, "--rw=randwrite", "--verify_backlog=64", "--time_based", f"--runtime={LOAD}"
    )
    try:
        begun, rounds = time.monotonic(), 0
        while time.monotonic() - begun < LOAD - 8:
            again(world)
            snapshot = world.snapshot(volume)
            world.api.create_volume("copy", None, source_volid=volume)
            again(world)  # while it is cloned
            world.api.delete_snapshot(snapshot)
            again(world)  # while the chain is folded
            rounds += 1
            if backend == "clones":
                world.api.extend(volume, 1 + rounds)
                again(world)
            assert guest.works, guest.finish()
        job = guest.finish()
    finally:
        guest.end()
    assert rounds >= 2 and job["write"]["io_bytes"] > 8 * MIB and job["read"]["io_bytes"] > 8 * MIB
    assert world.truth.problems() == []
    world.clear()


@pytest.mark.parametrize("backend", ["overlays", "clones"])
def test_what_a_guest_wrote_across_a_kill_is_there_after_detach_and_attach(
    backend: str, world: World, tmp_path: Path
) -> None:
    volume = world.volume(size=1)
    pattern = ["--rw=write", "--bs=64k"]
    guest = Guest(tmp_path, world.attach(volume), *pattern, "--do_verify=0", "--end_fsync=1", "--rate=48m")
    try:
        time.sleep(1.0)
        world.service.kill()
        time.sleep(1.0)
        world.recover()
        snapshot = world.snapshot(volume)
        guest.finish()
    finally:
        guest.end()
    world.api.detach(volume)
    assert world.api.finished()["state"] == "succeeded"
    world.api.delete_snapshot(snapshot)
    assert world.api.finished()["state"] == "succeeded"
    guest = Guest(tmp_path, world.attach(volume), *pattern, "--verify_only")
    try:
        assert guest.finish()["read"]["io_bytes"] == 192 * MIB
    finally:
        guest.end()
    world.clear()

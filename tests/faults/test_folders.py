# SPDX-License-Identifier: Apache-2.0
"""Folders that cannot be used: the service says which and what to mend; a backend that is not there keeps neither the API nor other
backends from starting, and comes up by itself when its folder does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.service import CHECKOUT
from tests.crash.world import World
from tests.drivers.disks import mounted
from tests.faults.conftest import Serve, fault_of

pytestmark = [pytest.mark.lab, pytest.mark.requires("root", "loop", "mkfs.ext4", "qemu-io")]
SIZE = 3 << 30


def wait_for(what: Callable[[], bool], seconds: float = 30.0) -> bool:
    limit = time.monotonic() + seconds
    while not what():
        if time.monotonic() > limit:
            return False
        time.sleep(0.1)
    return True


def backend(world: World) -> dict[str, str]:
    [found] = world.api.call("GET", "/breezeblock/status")["status"]["backends"]
    return found


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True, timeout=30)


@pytest.mark.parametrize("kind", ["a file", "a folder in a file"])
def test_a_data_folder_that_cannot_be_used_ends_the_start_with_one_sentence(
    tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "data"
    place.write_text("not a folder")
    place = place / "below" if kind != "a file" else place
    words = ["-m", "breezeblock.cli", "serve", "--listen", "127.0.0.1:0", "--data", str(place)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=30, cwd=CHECKOUT)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("breezeblock:"), said
    assert str(place) in said[0] and "--data" in said[0]


def test_a_read_only_storage_folder_is_down_with_its_reason_and_comes_up_by_itself(
    tmp_path: Path, serve: Serve
) -> None:
    with mounted("ext4", SIZE, tmp_path) as disk:
        remount(disk, "ro")
        with serve(disk / "pool") as world:
            assert wait_for(lambda: backend(world)["state"] == "down")
            assert (
                "Read-only file system" in backend(world)["reason"] and "Create" in backend(world)["reason"]
            )
            id = world.api.create_volume("v")["id"]
            assert world.api.finished()["state"] == "failed"
            assert world.api.volume(id)["status"] == "error"
            assert fault_of(world, id)["code"] == "placement.no-backend"
            world.api.delete_volume(id)
            remount(disk, "rw")
            assert wait_for(lambda: backend(world)["state"] == "up")
            world.volume(world.tag())
            world.clear()


def test_work_waits_for_a_storage_folder_that_went_away_and_goes_on_when_it_is_back(
    tmp_path: Path, serve: Serve
) -> None:
    """An unmounted disk leaves an empty folder behind: nothing may be concluded from its emptiness."""
    with mounted("ext4", SIZE, tmp_path) as disk, serve(disk / "pool") as world:
        tag = world.tag()
        volume = world.volume(tag)
        image = disk.with_name("disk.img")
        subprocess.run(["umount", str(disk)], check=True, timeout=30)
        try:
            made = world.api.create_volume("w")["id"]
            created = world.api.operation
            world.api.delete_volume(volume)
            deleted = world.api.operation
            assert created is not None and deleted is not None
            for id in (created, deleted):
                assert wait_for(lambda id=id: world.api.show_operation(id)["state"] == "waiting")  # type: ignore[misc]
            assert world.api.volume(volume)["status"] == "deleting"
        finally:
            subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True, timeout=30)
        world.truth.settled(90.0)
        assert world.api.volume(made)["status"] == "available"
        assert world.api.volume_ids() == {made}
        assert world.truth.problems() == []
        world.clear()

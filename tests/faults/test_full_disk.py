# SPDX-License-Identifier: Apache-2.0
"""The disk of the volumes is full when a verb begins: the verb fails with the reason, what there was is whole, nothing half-made stays, and
with space again everything goes on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import content
from tests.crash.world import World
from tests.drivers.disks import mounted
from tests.faults.conftest import Serve, fault_of

SIZE = 400 << 20
#: Promises far more than there is, so that the disk and not the promise is what ends.
THIN = "max_over_subscription_ratio = 100\nkeep_free_mib = 0"

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires(
        "root", "loop", "mkfs.ext4", "mkfs.xfs", "qemu-img", "qemu-io", "qemu-storage-daemon"
    ),
]


@pytest.fixture(params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with mounted(request.param, SIZE, tmp_path) as disk:
        yield disk


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a block is left meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 16, 4096, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
            os.fsync(file.fileno())  # what a file system had set aside for this file is free again
    try:
        yield
    finally:
        ballast.unlink()


def must_work_again(world: World) -> None:
    """And nothing of the failure is left; what could not be undone without space is owed, and paid now."""
    world.round("report")
    world.round("watch")
    world.truth.settled(30.0)
    assert world.truth.problems() == []
    world.volume(world.tag())
    world.clear()


def test_a_create_on_a_full_disk_fails_with_the_reason_and_leaves_nothing(disk: Path, serve: Serve) -> None:
    with serve(disk / "pool", backend=THIN) as world:
        with full(disk):
            id = world.api.create_volume("v")["id"]
            assert world.api.finished()["state"] == "failed"
            assert world.api.volume(id)["status"] == "error"
            assert fault_of(world, id)["code"] in ("storage.full", "placement.no-backend")
            assert world.truth.tree().layers == {}
        must_work_again(world)


@pytest.mark.parametrize("source", ["clone", "snapshot"])
def test_a_copy_on_a_full_disk_fails_and_its_source_is_whole(disk: Path, serve: Serve, source: str) -> None:
    with serve(disk / "pool", backend=THIN) as world:
        tag = world.tag()
        volume = world.volume(tag)
        of = {"source_volid": volume} if source == "clone" else {"snapshot_id": world.snapshot(volume)}
        with full(disk):
            id = world.api.create_volume("copy", None, **of)["id"]
            assert world.api.finished()["state"] == "failed"
            assert world.api.volume(id)["status"] == "error"
            assert fault_of(world, id)["code"] in ("storage.full", "placement.no-backend")
            assert world.api.volume(volume)["status"] == "available"
            assert world.shows(f"volume-{volume}", tag)
        must_work_again(world)


def test_a_snapshot_on_a_full_disk_fails_and_its_volume_is_whole(disk: Path, serve: Serve) -> None:
    with serve(disk / "pool", backend=THIN) as world:
        tag = world.tag()
        volume = world.volume(tag)
        with full(disk):
            id = world.api.create_snapshot(volume, "s")["id"]
            assert world.api.finished()["state"] == "failed"
            assert world.api.snapshot(id)["status"] == "error"
            assert fault_of(world, id)["code"] == "storage.full"
            assert world.shows(f"volume-{volume}", tag)
        must_work_again(world)


@pytest.mark.requires("fuse", "nbdfuse")
def test_a_snapshot_of_an_attached_volume_on_a_full_disk_leaves_its_guest_alone(
    disk: Path, serve: Serve
) -> None:
    with serve(disk / "pool", backend=THIN) as world:
        tag, later = world.tag(), world.tag()
        volume = world.volume(tag)
        device = world.attach(volume)
        with full(disk):
            id = world.api.create_snapshot(volume, "s")["id"]
            assert world.api.finished()["state"] == "failed"
            assert fault_of(world, id)["code"] == "storage.full"
            assert content.device_holds(device, tag)
            content.write_device(device, later)  # over what is allocated: needs no new block
            assert content.device_holds(device, later)
        assert world.api.volume(volume)["status"] == "in-use"
        must_work_again(world)


def test_an_extend_on_a_full_disk_ends_in_one_of_two_states(disk: Path, serve: Serve) -> None:
    """A longer image may need no new block at all; then it is extended. Else nothing has changed and the reason is told."""
    with serve(disk / "pool", backend=THIN) as world:
        tag = world.tag()
        volume = world.volume(tag)
        with full(disk):
            world.api.extend(volume, 3)
            ended = world.api.finished()["state"]
            found = world.api.volume(volume)
            if ended == "succeeded":
                assert (found["status"], found["size"]) == ("available", 3)
            else:
                assert found["status"] in ("error_extending", "available") and found["size"] == 1
                assert fault_of(world, volume)["code"] in ("storage.full", "placement.no-backend")
            assert world.shows(f"volume-{volume}", tag)
        must_work_again(world)


def test_a_delete_works_on_a_full_disk(disk: Path, serve: Serve) -> None:
    with serve(disk / "pool", backend=THIN) as world:
        volume = world.volume(world.tag())
        snapshot = world.snapshot(volume)
        with full(disk):
            world.api.delete_snapshot(snapshot)
            assert world.api.finished()["state"] == "succeeded"
            world.api.delete_volume(volume)
            assert world.api.finished()["state"] == "succeeded"
        must_work_again(world)


def test_a_service_starts_on_a_full_disk_and_tells_how_much_is_free(disk: Path, serve: Serve) -> None:
    with serve(disk / "pool", backend=THIN) as world:
        tag = world.tag()
        volume = world.volume(tag)
        with full(disk):
            world.service.kill()
            world.recover()
            world.round("report")
            [pool] = world.api.call("GET", "/breezeblock/status")["status"]["pools"]
            assert pool["free"] < 1 << 16
            assert world.shows(f"volume-{volume}", tag)
            world.api.delete_volume(volume)  # the way out of it
            assert world.api.finished()["state"] == "succeeded"
        must_work_again(world)

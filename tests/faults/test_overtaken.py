# SPDX-License-Identifier: Apache-2.0
"""An administrator or another request overtakes a running operation: a reset of the status, a forced delete, the end of an attachment that
is being connected. The operation loses; what it had charged, reserved, made or exported is taken back or found by what comes after."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.crash.api import CONNECTOR, Api, Gone, Refused
from tests.crash.world import World
from tests.faults.conftest import Serve

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("root", "loop", "fuse", "qemu-img", "qemu-io", "qemu-storage-daemon", "nbdfuse"),
]
#: Seconds that the overtaken work takes.
LONG = 1.5


@pytest.fixture
def world(serve: Serve) -> Iterator[World]:
    with serve() as world:
        yield world
        time.sleep(LONG)  # what was overtaken comes to its end too
        world.truth.settled(20.0)
        world.round("report")
        assert world.truth.problems() == []
        world.clear()


def slow(world: World, on: str, verb: str, act: Callable[[Api], object]) -> threading.Thread:
    """The act, begun in a thread and in the middle of its work when this returns."""
    world.service.plan({"on": on, "verb": verb, "kind": "delay", "seconds": LONG})
    api = Api.of(world.service.data)

    def run() -> None:
        try:
            act(api)
        except (Gone, Refused):
            pass
        finally:
            api.close()

    thread = threading.Thread(target=run)
    thread.start()
    limit = time.monotonic() + 10
    while not any(one["state"] == "running" for one in world.api.operations()):
        assert time.monotonic() < limit, world.api.operations()
        time.sleep(0.01)
    time.sleep(0.1)
    return thread


@pytest.mark.parametrize("status", ["error", "available"])
def test_a_reset_of_a_volume_that_is_being_created_gives_its_space_back(world: World, status: str) -> None:
    thread = slow(world, "driver", "create", lambda api: api.create_volume("v"))
    thread.join()
    [volume] = world.api.volumes()
    world.api.action("volumes", volume["id"], "os-reset_status", status=status)
    time.sleep(LONG)
    world.api.delete_volume(volume["id"])
    world.truth.settled(20.0)
    assert world.api.volumes() == []
    assert world.truth.problems() == []


def test_a_forced_delete_of_a_volume_that_is_being_created_leaves_nothing(world: World) -> None:
    thread = slow(world, "driver", "create", lambda api: api.create_volume("v"))
    thread.join()
    [volume] = world.api.volumes()
    world.api.action("volumes", volume["id"], "os-force_delete")
    world.truth.settled(20.0)
    assert world.api.volumes() == []
    time.sleep(LONG)
    assert world.truth.tree().layers == {}


def test_a_reset_of_a_volume_that_is_being_extended_gives_the_charge_back(world: World) -> None:
    volume = world.volume(world.tag())
    thread = slow(world, "driver", "extend", lambda api: api.extend(volume, 2))
    thread.join()
    world.api.action("volumes", volume, "os-reset_status", status="error")
    assert [one for one in world.truth.problems() if "usage" in one] == []
    time.sleep(LONG)
    world.api.delete_volume(volume)
    world.truth.settled(20.0)
    assert world.api.volumes() == []


def test_a_reset_of_a_snapshot_that_is_being_taken_lets_it_be_deleted(world: World) -> None:
    volume = world.volume(world.tag())
    thread = slow(world, "driver", "snapshot", lambda api: api.create_snapshot(volume, "s"))
    thread.join()
    [snapshot] = world.api.snapshots()
    world.api.action("snapshots", snapshot["id"], "os-reset_status", status="error")
    time.sleep(LONG)
    world.api.delete_snapshot(snapshot["id"])
    world.truth.settled(20.0)
    assert world.api.snapshots() == []


def test_the_end_of_an_attachment_that_is_being_connected_ends_its_export(world: World) -> None:
    tag = world.tag()
    volume = world.volume(tag)
    attachment = world.api.create_attachment(volume)["id"]
    thread = slow(world, "target", "export", lambda api: api.connect_attachment(attachment))
    world.api.delete_attachment(attachment)
    thread.join()
    world.truth.settled(20.0)
    assert world.api.attachments() == []
    assert world.api.volume(volume)["status"] == "available"
    assert world.shows(f"volume-{volume}", tag)


def test_a_second_connect_of_the_same_attachment_joins_the_first(world: World) -> None:
    volume = world.volume(world.tag())
    attachment = world.api.create_attachment(volume)["id"]
    thread = slow(world, "target", "export", lambda api: api.connect_attachment(attachment))
    answer = world.api.connect_attachment(attachment)
    thread.join()
    assert answer["connection_info"]["driver_volume_type"] == "nbd"
    connects = [one for one in world.api.operations() if one["kind"] == "attachment.connect"]
    assert len(connects) == 1


def test_a_detach_while_the_attach_is_at_work_leaves_the_volume_free(world: World) -> None:
    volume = world.volume(world.tag())
    thread = slow(world, "connector", "connect", lambda api: api.attach(volume))
    thread.join()
    with contextlib.suppress(Refused):
        world.api.detach(volume)  # it may wait for the attach, or be refused while that is at work
    world.truth.settled(20.0)
    if world.api.attachments():
        world.api.detach(volume)
    world.truth.settled(20.0)
    assert world.api.attachments() == []
    assert world.api.volume(volume)["status"] == "available"


@pytest.mark.parametrize("reset", [{"status": "error"}, {"status": "available", "attach_status": "detached"}])
def test_a_reset_while_the_attach_is_at_work_names_what_to_cancel(
    world: World, reset: dict[str, str]
) -> None:
    volume = world.volume(world.tag())
    thread = slow(world, "connector", "connect", lambda api: api.attach(volume))
    thread.join()
    [attaching] = [one["id"] for one in world.api.operations() if one["kind"] == "host.attach"]
    with pytest.raises(Refused, match=attaching):
        world.api.action("volumes", volume, "os-reset_status", **reset)
    world.api.cancel(attaching)
    world.truth.settled(20.0)
    assert world.api.volume(volume)["status"] == "available"
    assert world.api.attachments() == []


def test_an_attachment_of_a_volume_that_is_being_created_is_refused(world: World) -> None:
    thread = slow(world, "driver", "create", lambda api: api.create_volume("v"))
    thread.join()
    [volume] = world.api.volumes()
    with pytest.raises(Refused):
        world.api.create_attachment(volume["id"], CONNECTOR)
    world.truth.settled(20.0)
    assert world.api.volume(volume["id"])["status"] == "available"


def test_a_source_that_is_being_cloned_cannot_be_deleted_nor_its_clone_lost(world: World) -> None:
    tag = world.tag()
    volume = world.volume(tag)
    thread = slow(world, "driver", "create", lambda api: api.create_volume("w", None, source_volid=volume))
    thread.join()
    with pytest.raises(Refused):
        world.api.delete_volume(volume)
    world.truth.settled(20.0)
    clone = world.named("w")
    assert clone is not None and world.shows(f"volume-{clone['id']}", tag)

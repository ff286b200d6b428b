# SPDX-License-Identifier: Apache-2.0
"""A backend, target or host that does not answer, or does the work and loses the answer: operations wait, go on by themselves, can be
cancelled, and do nothing twice."""

from __future__ import annotations

import time

import pytest

from tests.crash import content
from tests.crash.api import Refused
from tests.crash.world import World
from tests.faults.conftest import Serve, fault_of

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("root", "loop", "fuse", "qemu-img", "qemu-io", "qemu-storage-daemon", "nbdfuse"),
]


def planned(
    world: World, verb: str, kind: str, times: int = 1, on: str = "driver", seconds: float = 0.0
) -> None:
    world.service.plan({"on": on, "verb": verb, "kind": kind, "times": times, "seconds": seconds})


def wait_for_state(world: World, id: str, state: str) -> dict[str, object]:
    limit = time.monotonic() + 20
    while (found := world.api.show_operation(id))["state"] != state:
        assert time.monotonic() < limit, found
        time.sleep(0.05)
    return found


@pytest.fixture
def world(serve: Serve):
    with serve() as world:
        yield world
        assert world.truth.problems() == []
        world.service.tell(mend=True)
        world.clear()


def test_an_operation_waits_for_an_unreachable_backend_and_goes_on(world: World) -> None:
    planned(world, "create", "error", 3)
    id = world.api.create_volume("v")["id"]
    assert world.api.operation is not None
    waiting = wait_for_state(world, world.api.operation, "waiting")
    assert waiting["error"]["code"] == "backend.unreachable"  # type: ignore[index]
    assert world.api.volume(id)["status"] == "creating"
    ended = world.api.finished()
    assert ended["state"] == "succeeded" and world.api.volume(id)["status"] == "available"


def test_an_operation_that_waits_can_be_cancelled_at_once(world: World) -> None:
    planned(world, "create", "error", 1000)
    id = world.api.create_volume("v")["id"]
    assert world.api.operation is not None
    wait_for_state(world, world.api.operation, "waiting")
    begun = time.monotonic()
    world.api.cancel(world.api.operation)
    world.truth.settled(10.0)
    assert time.monotonic() - begun < 5
    assert world.api.volume(id)["status"] == "error"
    assert fault_of(world, id)["code"] == "lost.cancelled"
    assert world.truth.tree().layers == {}


def test_a_delete_that_waits_past_its_pivot_refuses_a_cancel_and_names_the_task(world: World) -> None:
    volume = world.volume(world.tag())
    planned(world, "delete", "error", 4)
    world.api.delete_volume(volume)
    operation = world.api.operation
    assert operation is not None
    wait_for_state(world, operation, "waiting")
    with pytest.raises(Refused) as refused:
        world.api.cancel(operation)
    assert refused.value.status == 409 and "remove" in refused.value.fault["message"]
    world.truth.settled(60.0)
    assert world.api.volumes() == []


def test_a_cancelled_attach_takes_its_export_back(world: World) -> None:
    """The cancel comes while the host is at work; what the backend has done is undone, not owed."""
    tag = world.tag()
    volume = world.volume(tag)
    planned(world, "connect", "error", 1000, on="connector")
    world.api.attach(volume)
    operation = world.api.operation
    assert operation is not None
    wait_for_state(world, operation, "waiting")
    world.api.cancel(operation)
    world.truth.settled(20.0)
    assert world.api.show_operation(operation)["state"] == "cancelled"
    assert world.api.volume(volume)["status"] == "available"
    assert world.truth.rows().left["debts"] == 0
    assert world.shows(f"volume-{volume}", tag)


def test_a_cancelled_create_in_the_middle_of_its_work_leaves_nothing(world: World) -> None:
    planned(world, "create", "delay", seconds=1.5)
    id = world.api.create_volume("v")["id"]
    assert world.api.operation is not None
    wait_for_state(world, world.api.operation, "running")
    world.api.cancel(world.api.operation)
    world.truth.settled(20.0)
    assert world.api.volume(id)["status"] == "error"
    assert world.truth.tree().layers == {}


def test_what_cannot_be_looked_at_after_a_kill_is_waited_for_and_not_done_twice(world: World) -> None:
    world.service.arm("volume.create:allocate:done-before")
    world.attempt(lambda: world.api.create_volume("v"))
    assert world.service.ended(10.0) is not None
    with world.failing([{"on": "driver", "verb": "find", "kind": "error", "times": 2}]):
        world.recover()
        world.truth.settled(30.0)
        assert "create" not in world.service.tell()["calls"]
    assert [one["status"] for one in world.api.volumes()] == ["available"]


LOST = [
    ("driver", "create", lambda w, v: w.api.create_volume("w")),
    ("driver", "create", lambda w, v: w.api.create_volume("w", None, source_volid=v)),
    ("driver", "snapshot", lambda w, v: w.api.create_snapshot(v, "s")),
    ("driver", "extend", lambda w, v: w.api.extend(v, 2)),
    ("driver", "delete", lambda w, v: w.api.delete_volume(v)),
    ("target", "export", lambda w, v: w.api.attach(v)),
    ("target", "admit", lambda w, v: w.api.attach(v)),
    ("connector", "connect", lambda w, v: w.api.attach(v)),
]


@pytest.mark.parametrize(
    ("on", "verb", "act"), LOST, ids=[f"{on}-{verb}-{n}" for n, (on, verb, _) in enumerate(LOST)]
)
def test_a_lost_answer_ends_in_one_effect(world: World, on: str, verb: str, act) -> None:
    tag = world.tag()
    volume = world.volume(tag)
    planned(world, verb, "lost", 2, on=on)
    act(world, volume)
    assert world.api.finished()["state"] == "succeeded"
    world.truth.settled(10.0)
    if verb != "delete":
        [device] = [world.api.device(a["id"]) for a in world.api.attachments()] or [""]
        held = content.device_holds(device, tag) if device else world.shows(f"volume-{volume}", tag)
        assert held


@pytest.mark.parametrize(
    ("on", "verb"), [("target", "dismiss"), ("target", "unexport"), ("connector", "disconnect")]
)
def test_a_detach_whose_answer_is_lost_ends_in_a_free_volume(world: World, on: str, verb: str) -> None:
    tag = world.tag()
    volume = world.volume(tag)
    world.attach(volume)
    planned(world, verb, "lost", 2, on=on)
    world.api.detach(volume)
    assert world.api.finished()["state"] == "succeeded"
    assert world.api.volume(volume)["status"] == "available"
    assert world.shows(f"volume-{volume}", tag)

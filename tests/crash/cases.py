# SPDX-License-Identifier: Apache-2.0
"""What is killed: each case is one verb in one situation, from its preparation to what must be true afterwards, however often the service
died in between. The points at which it dies are not written here: they are those that the case visits (kill_points.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.crash import content
from tests.crash.preparations import (
    FULL,
    Facts,
    a_connected_volume,
    a_debt,
    a_reserved_volume,
    a_snapshot,
    a_volume,
    an_attached_snapshot,
    an_attached_volume,
    nothing,
    two_snapshots,
)
from tests.crash.world import World


@dataclass(frozen=True)
class Case:
    """`act` does the verb; `expect` looks once everything has settled. `faults` make it fail; then `expect` sees what was taken back.
    `only`: the kind of backend ("overlays" or "clones") that can do it. `stale`: a broken device stays for somebody to detach."""

    name: str
    kind: str
    prepare: Callable[[World], Facts]
    act: Callable[[World, Facts], Any]
    expect: Callable[[World, Facts], None]
    faults: Sequence[Mapping[str, Any]] = ()
    only: str = ""
    stale: bool = False


# -- expectations ------------------------------------------------------------------------------------------------------


def _volume(world: World, facts: Facts, status: str, size: int = 1) -> None:
    found = world.api.volume(facts["volume"])
    assert (found["status"], found["size"]) == (status, size), found


def _shown(facts: Facts) -> int:
    """The tag that the volume shows now."""
    tag: int = facts.get("later") or facts["tag"]
    return tag


def _source_is_whole(world: World, facts: Facts) -> None:
    if "device" in facts:
        _volume(world, facts, "in-use")
        assert content.device_holds(facts["device"], _shown(facts))
    elif "volume" in facts:
        _volume(world, facts, "available")
        assert world.shows(f"volume-{facts['volume']}", _shown(facts))
    if "snapshot" in facts:
        assert world.api.snapshot(facts["snapshot"])["status"] == "available"
        assert world.shows(f"snapshot-{facts['snapshot']}", facts["tag"])


def made(of: str = "") -> Callable[[World, Facts], None]:
    """There is a volume of that name; it holds the tag of what it was made from, and that is whole."""

    def expect(world: World, facts: Facts) -> None:
        found = world.named(facts["name"])
        assert found is not None and found["status"] == "available", found
        _source_is_whole(world, facts)
        if of:
            assert world.shows(f"volume-{found['id']}", facts[of])

    return expect


def not_made(world: World, facts: Facts) -> None:
    found = world.named(facts["name"])
    assert found is not None and found["status"] == "error", found
    _source_is_whole(world, facts)


def deleted(world: World, facts: Facts) -> None:
    assert facts["volume"] not in [one["id"] for one in world.api.volumes()]
    gone = {facts.get("snapshot"), facts.get("second")}
    assert not gone & {one["id"] for one in world.api.snapshots()}


def not_deleted(world: World, facts: Facts) -> None:
    _volume(world, facts, "error_deleting")


def snapshot_taken(world: World, facts: Facts) -> None:
    found = world.named(facts["name"])
    assert found is not None and found["status"] == "available", found
    assert world.shows(f"snapshot-{found['id']}", facts["tag"])
    _source_is_whole(world, facts)
    # and it keeps showing that when the volume goes on
    later = world.tag()
    if "device" in facts:
        content.write_device(facts["device"], later)
    else:
        content.write(world.layer(f"volume-{facts['volume']}"), later)
    assert world.shows(f"snapshot-{found['id']}", facts["tag"])


def snapshot_deleted(world: World, facts: Facts) -> None:
    assert facts["snapshot"] not in [one["id"] for one in world.api.snapshots()]
    del facts["snapshot"]
    _source_is_whole(world, facts)


def extended(world: World, facts: Facts) -> None:
    _volume(world, facts, "in-use" if "device" in facts else "available", 2)
    if "device" in facts:
        assert content.device_holds(facts["device"], facts["tag"])
    else:
        assert world.shows(f"volume-{facts['volume']}", facts["tag"])


def not_extended(world: World, facts: Facts) -> None:
    _volume(world, facts, "error_extending")


def reverted(world: World, facts: Facts) -> None:
    facts["later"] = facts["tag"]
    _source_is_whole(world, facts)


def connected(world: World, facts: Facts) -> None:
    [attachment] = world.api.attachments()
    assert attachment["status"] == "attaching" and attachment["connection_info"], attachment
    _volume(world, facts, "attaching")


def not_connected(world: World, facts: Facts) -> None:
    [attachment] = world.api.attachments()
    assert attachment["status"] == "error_attaching", attachment


def detached(world: World, facts: Facts) -> None:
    assert world.api.attachments() == []
    facts.pop("device", None)
    _source_is_whole(world, facts)


def attached(world: World, facts: Facts) -> None:
    [attachment] = world.api.attachments()
    assert attachment["status"] == "attached", attachment
    facts["device"] = world.api.device(attachment["id"])
    _source_is_whole(world, facts)


def not_attached(world: World, facts: Facts) -> None:
    [attachment] = world.api.attachments()
    assert attachment["status"] == "error_attaching", attachment
    _volume(world, facts, "in-use")


# -- acts that are no request ------------------------------------------------------------------------------------------


def lose_the_device(world: World, facts: Facts) -> None:
    """Somebody ends the way from the export to the device; the agent sees it at its next look."""
    world.truth.break_devices()
    world.round("look")


# -- the cases ---------------------------------------------------------------------------------------------------------


def _on(facts: Facts) -> str:
    return str(facts["volume"])


CASES: list[Case] = [
    Case("create", "volume.create", nothing, lambda w, f: w.api.create_volume(f["name"]), made()),
    Case(
        "create from a snapshot",
        "volume.create",
        a_snapshot,
        lambda w, f: w.api.create_volume(f["name"], None, snapshot_id=f["snapshot"]),
        made("tag"),
    ),
    Case(
        "clone",
        "volume.create",
        a_volume,
        lambda w, f: w.api.create_volume(f["name"], None, source_volid=_on(f)),
        made("tag"),
    ),
    Case(
        "clone of an attached volume",
        "volume.create",
        an_attached_volume,
        lambda w, f: w.api.create_volume(f["name"], None, source_volid=_on(f)),
        made("tag"),
    ),
    Case("delete", "volume.delete", a_volume, lambda w, f: w.api.delete_volume(_on(f)), deleted),
    Case(
        "delete with snapshots",
        "volume.delete",
        two_snapshots,
        lambda w, f: w.api.delete_volume(_on(f), cascade=True),
        deleted,
    ),
    Case("extend", "volume.extend", a_volume, lambda w, f: w.api.extend(_on(f), 2), extended),
    Case(
        "extend an attached volume",
        "volume.extend",
        an_attached_volume,
        lambda w, f: w.api.extend(_on(f), 2),
        extended,
        only="clones",
    ),
    Case("revert", "volume.revert", a_snapshot, lambda w, f: w.api.revert(_on(f), f["snapshot"]), reverted),
    Case(
        "snapshot",
        "snapshot.create",
        a_volume,
        lambda w, f: w.api.create_snapshot(_on(f), f["name"]),
        snapshot_taken,
    ),
    Case(
        "snapshot of an attached volume",
        "snapshot.create",
        an_attached_volume,
        lambda w, f: w.api.create_snapshot(_on(f), f["name"]),
        snapshot_taken,
    ),
    Case(
        "delete a snapshot",
        "snapshot.delete",
        a_snapshot,
        lambda w, f: w.api.delete_snapshot(f["snapshot"]),
        snapshot_deleted,
    ),
    Case(
        "delete a snapshot of an attached volume",
        "snapshot.delete",
        an_attached_snapshot,
        lambda w, f: w.api.delete_snapshot(f["snapshot"]),
        snapshot_deleted,
    ),
    Case(
        "connect",
        "attachment.connect",
        a_reserved_volume,
        lambda w, f: w.api.connect_attachment(f["attachment"]),
        connected,
    ),
    Case(
        "disconnect",
        "attachment.delete",
        a_connected_volume,
        lambda w, f: w.api.delete_attachment(f["attachment"]),
        detached,
    ),
    Case("attach", "host.attach", a_volume, lambda w, f: w.api.attach(_on(f)), attached),
    Case("detach", "host.detach", an_attached_volume, lambda w, f: w.api.detach(_on(f)), detached),
    Case("reconnect", "host.reconnect", an_attached_volume, lose_the_device, attached),
    Case("pay a debt", "debt.pay", a_debt, lambda w, f: w.round("watch"), detached),
    Case("tidy", "backend.tidy", a_volume, lambda w, f: w.round("tidy"), _source_is_whole),
    # -- what fails, and is undone or ends in its error status
    Case(
        "create that fails",
        "volume.create",
        nothing,
        lambda w, f: w.api.create_volume(f["name"]),
        not_made,
        [{"on": "driver", "verb": "create", **FULL}],
    ),
    Case(
        "clone of an attached volume that fails",
        "volume.create",
        an_attached_volume,
        lambda w, f: w.api.create_volume(f["name"], None, source_volid=_on(f)),
        not_made,
        [{"on": "driver", "verb": "create", **FULL}],
    ),
    Case(
        "snapshot that fails",
        "snapshot.create",
        a_volume,
        lambda w, f: w.api.create_snapshot(_on(f), f["name"]),
        not_made,
        [{"on": "driver", "verb": "snapshot", **FULL}],
    ),
    Case(
        "delete that fails",
        "volume.delete",
        a_volume,
        lambda w, f: w.api.delete_volume(_on(f)),
        not_deleted,
        [{"on": "driver", "verb": "delete", **FULL}],
    ),
    Case(
        "extend that fails",
        "volume.extend",
        a_volume,
        lambda w, f: w.api.extend(_on(f), 2),
        not_extended,
        [{"on": "driver", "verb": "extend", **FULL}],
    ),
    Case(
        "connect that fails",
        "attachment.connect",
        a_reserved_volume,
        lambda w, f: w.api.connect_attachment(f["attachment"]),
        not_connected,
        [{"on": "target", "verb": "admit", **FULL}],
    ),
    Case(
        "attach that fails",
        "host.attach",
        a_volume,
        lambda w, f: w.api.attach(_on(f)),
        detached,
        [{"on": "connector", "verb": "connect", **FULL}],
    ),
    Case(
        "reconnect that fails",
        "host.reconnect",
        an_attached_volume,
        lose_the_device,
        not_attached,
        [{"on": "connector", "verb": "connect", **FULL}],
        stale=True,
    ),
    Case(
        "tidy that fails",
        "backend.tidy",
        a_volume,
        lambda w, f: w.round("tidy"),
        _source_is_whole,
        [{"on": "driver", "verb": "tidy", **FULL}],
    ),
    Case(
        "detach that fails",
        "host.detach",
        an_attached_volume,
        lambda w, f: w.api.detach(_on(f)),
        attached,
        [{"on": "connector", "verb": "disconnect", **FULL}],
    ),
]

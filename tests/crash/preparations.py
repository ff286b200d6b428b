# SPDX-License-Identifier: Apache-2.0
"""What there is before a case begins: volumes, snapshots, attachments and debts, and the facts about them that its expectations compare."""

from __future__ import annotations

from typing import Any

from tests.crash import content
from tests.crash.api import CONNECTOR
from tests.crash.world import World

Facts = dict[str, Any]
#: no retry mends it, so the verb undoes or ends in its error status.
FULL = {"kind": "full", "times": 1000}


def nothing(world: World) -> Facts:
    return {"name": world.fresh_name()}


def a_volume(world: World) -> Facts:
    tag = world.tag()
    return {"name": world.fresh_name(), "tag": tag, "volume": world.volume(tag)}


def a_snapshot(world: World) -> Facts:
    """A volume that went on after its snapshot."""
    facts = a_volume(world)
    facts |= {"snapshot": world.snapshot(facts["volume"]), "later": world.tag()}
    content.write(world.layer(f"volume-{facts['volume']}"), facts["later"])
    return facts


def two_snapshots(world: World) -> Facts:
    facts = a_snapshot(world)
    return facts | {"second": world.snapshot(facts["volume"])}


def an_attached_volume(world: World) -> Facts:
    facts = a_volume(world)
    facts["device"] = world.attach(facts["volume"])
    assert content.device_holds(facts["device"], facts["tag"])
    return facts


def an_attached_snapshot(world: World) -> Facts:
    facts = an_attached_volume(world)
    facts |= {"snapshot": world.snapshot(facts["volume"]), "later": world.tag()}
    content.write_device(facts["device"], facts["later"])
    return facts


def a_reserved_volume(world: World) -> Facts:
    facts = a_volume(world)
    return facts | {"attachment": world.api.create_attachment(facts["volume"])["id"]}


def a_connected_volume(world: World) -> Facts:
    facts = a_volume(world)
    return facts | {"attachment": world.api.create_attachment(facts["volume"], CONNECTOR)["id"]}


def a_debt(world: World) -> Facts:
    """An attach that failed and whose export could not be taken back then."""
    facts = a_volume(world)
    faults = [{"on": "connector", "verb": "connect", **FULL}, {"on": "target", "verb": "unexport", **FULL}]
    with world.failing(faults):
        world.api.attach(facts["volume"])
        assert world.api.finished()["state"] == "failed"
    assert world.truth.rows().left["debts"] == 1
    return facts

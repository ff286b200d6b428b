# SPDX-License-Identifier: Apache-2.0
"""Who may join a connection that is being made."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.model.errors import Conflict
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment import legacy
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.host.attach import attach
from breezeblock.store import history
from breezeblock.store.database import Store
from tests.api import rows
from tests.operations.attachment.consumer import CONNECTOR, ELSEWHERE, connected


def begun(store: Store, caller: Caller, attachment: str, connector: dict[str, Any]) -> str:
    return store.write_sync(lambda tx: connect(tx, caller, attachment, connector))


def test_the_same_connector_joins_whatever_the_order_of_its_facts(store: Store, member: Caller) -> None:
    attachment = rows.attachment(store, rows.volume(store, status="reserved"))
    first = begun(store, member, attachment, {**CONNECTOR, "multipath": False, "more": [1, {"a": None}]})
    again = {"more": [1, {"a": None}], "multipath": False, **dict(reversed(CONNECTOR.items()))}
    assert begun(store, member, attachment, again) == first


@pytest.mark.parametrize(
    ("other", "had"),
    [
        (ELSEWHERE, "a connector of host host2"),
        ({**CONNECTOR, "ip": "192.0.2.9"}, "a connector of host host1 that differs"),
        ({"initiator": "iqn.2026-11.example:1"}, "a connector of host None"),
    ],
)
def test_another_connector_is_refused_while_the_first_is_being_connected(
    store: Store, member: Caller, other: dict[str, Any], had: str
) -> None:
    attachment = rows.attachment(store, rows.volume(store, status="reserved"))
    operation = begun(store, member, attachment, CONNECTOR)
    with pytest.raises(Conflict, match="another connector") as refused:
        begun(store, member, attachment, other)
    assert (refused.value.had, refused.value.facts) == (had, {"operation": operation})
    assert store.read_sync(lambda tx: history.running_args(tx, operation))["connector"] == CONNECTOR


def test_once_that_has_ended_another_connector_is_taken(store: Store, member: Caller) -> None:
    attachment = rows.attachment(store, rows.volume(store, status="reserved"))
    first = begun(store, member, attachment, CONNECTOR)
    store.write_sync(lambda tx: history.finish(tx, first, "failed", None))
    second = begun(store, member, attachment, ELSEWHERE)
    assert second != first
    assert store.read_sync(lambda tx: history.running_args(tx, second))["connector"] == ELSEWHERE
    assert store.read_sync(lambda tx: history.running_args(tx, first)) == {}


def test_the_older_way_hands_no_host_the_connection_of_another(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="attaching")
    made, operation = store.write_sync(lambda tx: legacy.initialize(tx, member, volume, CONNECTOR))
    with pytest.raises(Conflict, match="another connector"):
        store.write_sync(lambda tx: legacy.initialize(tx, member, volume, ELSEWHERE))
    assert store.write_sync(lambda tx: legacy.initialize(tx, member, volume, CONNECTOR)) == (made, operation)


def test_an_exclusive_volume_that_a_host_has_or_is_about_to_have_is_given_to_no_other(
    store: Store, admin: Caller
) -> None:
    """Also before the first consumer has said that it uses it."""
    volume = rows.volume(store, status="attaching")
    connected(store, volume)
    with pytest.raises(Conflict, match="already connected"):
        store.write_sync(lambda tx: legacy.initialize(tx, admin, volume, ELSEWHERE))
    volume = rows.volume(store)
    store.write_sync(lambda tx: attach(tx, admin, volume, host="here", here="here"))
    with pytest.raises(Conflict, match="being connected"):
        store.write_sync(lambda tx: legacy.initialize(tx, admin, volume, ELSEWHERE))


def test_a_multiattach_volume_is_given_to_another_host(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="attaching", multiattach=True)
    connected(store, volume)
    _, operation = store.write_sync(lambda tx: legacy.initialize(tx, member, volume, ELSEWHERE))
    assert operation is not None

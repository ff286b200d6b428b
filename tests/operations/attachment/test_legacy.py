# SPDX-License-Identifier: Apache-2.0
"""The older verbs: which attachment they mean, and what they leave to an operation."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.model.errors import BadRequest, NotFound, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment import legacy
from breezeblock.store.database import Store
from tests.api import rows
from tests.operations.attachment.consumer import (
    CONNECTOR,
    ELSEWHERE,
    INSTANCE,
    READONLY,
    connected,
    kind,
    of,
)


def begun(store: Store, caller: Caller, volume: str, connector: dict[str, Any]) -> tuple[str, str | None]:
    return store.write_sync(lambda tx: legacy.initialize(tx, caller, volume, connector))


def used(store: Store, caller: Caller, volume: str, **more: Any) -> str:
    wanted: dict[str, Any] = {"mountpoint": "/dev/vdb", "mode": "rw", "instance_uuid": INSTANCE, **more}
    return store.write_sync(lambda tx: legacy.attach(tx, caller, volume, **wanted))


def test_initialize_makes_one_attachment_and_a_repeat_joins_its_operation(
    store: Store, member: Caller
) -> None:
    volume = rows.volume(store, status="attaching")
    first = begun(store, member, volume, CONNECTOR)
    assert begun(store, member, volume, CONNECTOR) == first
    assert [a.id for a in of(store, volume)] == [first[0]]
    assert kind(store, first[1]) == "attachment.connect"


def test_initialize_takes_the_reservation_that_is_there_but_not_an_agents(
    store: Store, member: Caller
) -> None:
    volume = rows.volume(store, status="reserved", multiattach=True)
    agents = rows.attachment(store, volume, agent_host="here")
    reserved = rows.attachment(store, volume)
    made, _ = begun(store, member, volume, CONNECTOR)
    assert made == reserved
    assert {a.id for a in of(store, volume)} == {agents, reserved}


def test_initialize_needs_no_operation_where_the_host_is_connected(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="attaching", multiattach=True)
    here = connected(store, volume)
    assert begun(store, member, volume, CONNECTOR) == (here, None)
    there, operation = begun(store, member, volume, ELSEWHERE)
    assert there != here
    assert kind(store, operation) == "attachment.connect"


def test_initialize_is_refused_without_a_connector_in_maintenance_and_of_others(
    store: Store, member: Caller, stranger: Caller
) -> None:
    volume, kept = rows.volume(store), rows.volume(store, status="maintenance")
    with pytest.raises(BadRequest, match="connector is empty"):
        begun(store, member, volume, {})
    with pytest.raises(WrongStatus, match="maintenance"):
        begun(store, member, kept, CONNECTOR)
    with pytest.raises(NotFound):
        begun(store, stranger, volume, CONNECTOR)
    assert of(store, volume) == of(store, kept) == ()


def test_attach_uses_what_initialize_made_and_a_repeat_changes_nothing(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="attaching")
    made = connected(store, volume, attached_host="host1")
    assert used(store, member, volume) == made
    assert used(store, member, volume, mountpoint="/dev/vdc", instance_uuid=INSTANCE, host="host1") == made
    (found,) = of(store, volume)
    assert (found.attach_status, found.attached_host, found.mountpoint) == ("attached", "host1", "/dev/vdb")
    assert (rows.seen(store, volume).status, found.attach_mode) == ("in-use", "rw")


def test_attach_without_a_connection_makes_the_attachment_itself(store: Store, member: Caller) -> None:
    volume = rows.volume(store)
    made = used(store, member, volume, host="host7", instance_uuid=None)
    (found,) = of(store, volume)
    assert (found.id, found.attached_host, found.attach_status) == (made, "host7", "attached")


def test_attach_for_writing_of_a_readonly_volume_is_refused(store: Store, member: Caller) -> None:
    volume = rows.volume(store, admin_metadata=READONLY)
    with pytest.raises(WrongStatus, match="read-only"):
        used(store, member, volume)
    assert of(store, volume) == ()
    used(store, member, volume, mode="ro")
    assert rows.seen(store, volume).admin_metadata == {"readonly": "True", "attached_mode": "ro"}


def test_terminate_ends_an_idle_connection_and_leaves_one_in_use(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="attaching", multiattach=True)
    connected(store, volume, host="host2")
    connected(store, volume, host="host1", attach_status="attached")
    assert store.write_sync(lambda tx: legacy.terminate(tx, member, volume, "host1")) is None
    rows.status(store, volume, "attaching")
    operation = store.write_sync(lambda tx: legacy.terminate(tx, member, volume, "host2"))
    assert kind(store, operation) == "attachment.delete"


def test_terminate_of_a_mere_reservation_ends_it(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="attaching")
    assert store.write_sync(lambda tx: legacy.terminate(tx, member, volume, None)) is None
    assert rows.seen(store, volume).status == "available"


def test_detach_ends_the_one_that_is_meant(store: Store, member: Caller) -> None:
    volume, other = rows.volume(store, multiattach=True), rows.volume(store)
    first, second, foreign = (rows.attached(store, v) for v in (volume, volume, other))

    def detach(id: str | None) -> str | None:
        return store.write_sync(lambda tx: legacy.detach(tx, member, volume, id))

    with pytest.raises(BadRequest, match="several attachments"):
        detach(None)
    with pytest.raises(BadRequest, match="has no attachment"):
        detach(foreign)
    assert detach(first) is None
    assert [a.id for a in of(store, volume)] == [second]
    assert detach(None) is None
    assert (rows.seen(store, volume).status, of(store, volume)) == ("available", ())


def test_detach_of_an_unattached_volume_settles_it(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="detaching", attach_status="attached")
    assert store.write_sync(lambda tx: legacy.detach(tx, member, volume, None)) is None
    found = rows.seen(store, volume)
    assert (found.status, found.attach_status) == ("available", "detached")


def test_a_forced_detach_works_in_maintenance_and_a_plain_one_does_not(store: Store, admin: Caller) -> None:
    volume = rows.volume(store, status="maintenance")
    attachment = connected(store, volume, attach_status="attached")
    with pytest.raises(WrongStatus, match="maintenance"):
        store.write_sync(lambda tx: legacy.detach(tx, admin, volume, attachment))
    operation = store.write_sync(lambda tx: legacy.force_detach(tx, admin, volume, attachment))
    assert kind(store, operation) == "attachment.delete"
    empty = rows.volume(store)
    assert store.write_sync(lambda tx: legacy.force_detach(tx, admin, empty, None)) is None


@pytest.mark.parametrize("status", ["creating", "extending", "deleting", "error", "awaiting-transfer"])
def test_detach_of_an_unattached_volume_takes_it_from_no_operation(
    store: Store, member: Caller, status: str
) -> None:
    volume = rows.volume(store, status=status, operation_id="1" * 36)
    assert store.write_sync(lambda tx: legacy.detach(tx, member, volume, None)) is None
    found = rows.seen(store, volume)
    assert (found.status, found.operation_id) == (status, "1" * 36)

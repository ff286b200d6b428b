# SPDX-License-Identifier: Apache-2.0
"""A running operation whose resource is taken away: one ending, whoever takes it."""

from __future__ import annotations

import pytest

from breezeblock.model.errors import WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.fence_off import fence_off
from breezeblock.operations.host.attach import attach
from breezeblock.operations.host.detach import detach
from breezeblock.operations.snapshot import edit as snapshot_edit
from breezeblock.operations.volume.delete import delete
from breezeblock.operations.volume.edit import reset_status
from breezeblock.operations.volume.revert import revert
from breezeblock.store import attachments, history, keys, operations, snapshots
from breezeblock.store.database import Store
from tests.api import rows


def submitted(store: Store, resource_id: str, kind: str = "volume.extend") -> str:
    """An operation at work on a volume, whose key it holds."""
    new = operations.NewOperation(
        kind=kind,
        resource_type="volume",
        resource_id=resource_id,
        project_id=rows.PROJECT,
        user_id=rows.USER,
        request_id="req-1",
        queue="q",
        tasks=["one"],
        args={"volume_id": resource_id},
        keys={f"volume/{resource_id}": True},
    )
    return store.write_sync(lambda tx: operations.submit(tx, new))


def at_work(store: Store, kind: str = "volume.extend") -> tuple[str, str]:
    """A volume and the operation that holds it."""
    volume = rows.volume(store)
    operation = submitted(store, volume, kind)
    rows.status(store, volume, "extending", operation_id=operation)
    return volume, operation


def ending(store: Store, operation: str) -> tuple[str, object]:
    found = store.read_sync(lambda tx: history.get(tx, operation, None))
    return found.state, found.error


def test_it_ends_as_failed_says_by_what_and_lets_its_keys_go(store: Store) -> None:
    volume, operation = at_work(store)
    behind = submitted(store, volume)
    assert store.read_sync(lambda tx: [id for _, id in keys.blockers(tx, behind)]) == [operation]
    assert store.write_sync(lambda tx: fence_off(tx, operation, "a test"))
    assert ending(store, operation) == ("failed", {"code": "lost.fenced", "message": "ended by a test"})
    assert store.read_sync(lambda tx: keys.blockers(tx, behind)) == []
    assert store.read_sync(lambda tx: history.get(tx, behind, None)).state == "ready"


def test_nothing_and_what_has_ended_are_left_alone(store: Store) -> None:
    _, operation = at_work(store)
    store.write_sync(lambda tx: history.finish(tx, operation, "succeeded", None))
    assert not store.write_sync(lambda tx: fence_off(tx, None, "a test"))
    assert not store.write_sync(lambda tx: fence_off(tx, operation, "a test"))
    assert ending(store, operation) == ("succeeded", None)


def test_a_reset_volume_and_a_forced_delete_say_who_ended_it(store: Store, admin: Caller) -> None:
    volume, operation = at_work(store)
    store.write_sync(lambda tx: reset_status(tx, volume, status="error"))
    assert ending(store, operation)[1] == {"code": "lost.fenced", "message": "ended by reset-status"}
    assert rows.seen(store, volume).status == "error"
    volume, operation = at_work(store)
    store.write_sync(lambda tx: delete(tx, admin, volume, force=True))
    assert ending(store, operation)[1] == {"code": "lost.fenced", "message": "ended by a forced delete"}
    assert rows.seen(store, volume).status == "deleting"


def test_a_forced_delete_ends_no_attach_but_names_it(store: Store, admin: Caller) -> None:
    volume = rows.volume(store)
    _, operation = store.write_sync(lambda tx: attach(tx, admin, volume, host="here", here="here"))
    with pytest.raises(WrongStatus, match=r"host\.attach") as refused:
        store.write_sync(lambda tx: delete(tx, admin, volume, force=True))
    assert operation in str(refused.value)
    assert ending(store, operation)[0] == "ready"


def of_snapshot(store: Store, id: str) -> tuple[str, str | None]:
    found = store.read_sync(lambda tx: snapshots.get(tx, id))
    return found.status, found.operation_id


def of_volume(store: Store, id: str) -> tuple[str, str | None]:
    found = rows.seen(store, id)
    return found.status, found.operation_id


def test_a_reset_volume_lets_the_snapshots_go_that_were_being_deleted_with_it(
    store: Store, admin: Caller
) -> None:
    volume = rows.volume(store)
    child = rows.snapshot(store, volume)
    store.write_sync(lambda tx: delete(tx, admin, volume, cascade=True))
    store.write_sync(lambda tx: reset_status(tx, volume, status="available"))
    assert of_volume(store, volume) == ("available", None)
    assert of_snapshot(store, child) == ("error", None)


def test_a_reset_snapshot_lets_the_volume_go_that_was_being_deleted_with_it(
    store: Store, admin: Caller
) -> None:
    volume = rows.volume(store)
    child, sibling = rows.snapshot(store, volume), rows.snapshot(store, volume)
    operation = store.write_sync(lambda tx: delete(tx, admin, volume, cascade=True))
    store.write_sync(lambda tx: snapshot_edit.reset_status(tx, admin, child, "available"))
    assert ending(store, str(operation))[0] == "failed"
    assert of_snapshot(store, child) == ("available", None)
    assert of_snapshot(store, sibling) == ("error", None)
    assert of_volume(store, volume) == ("error", None)


def test_both_that_a_revert_holds_are_let_go_whichever_is_reset(store: Store, admin: Caller) -> None:
    volume = rows.volume(store)
    child = rows.snapshot(store, volume)
    store.write_sync(lambda tx: revert(tx, admin, volume, child))
    store.write_sync(lambda tx: snapshot_edit.reset_status(tx, admin, child, "available"))
    assert of_volume(store, volume) == ("error", None)
    store.write_sync(lambda tx: reset_status(tx, volume, status="available"))
    store.write_sync(lambda tx: revert(tx, admin, volume, child))
    store.write_sync(lambda tx: reset_status(tx, volume, status="available"))
    assert of_snapshot(store, child) == ("error", None)


def test_a_reset_that_writes_no_status_leaves_none_that_an_ended_operation_held(store: Store) -> None:
    volume, operation = at_work(store)
    store.write_sync(lambda tx: reset_status(tx, volume, attach_status="detached"))
    assert ending(store, operation)[0] == "failed"
    assert of_volume(store, volume) == ("error", None)


def test_a_reset_of_the_migration_alone_ends_no_attach(store: Store, admin: Caller) -> None:
    volume = rows.volume(store)
    _, operation = store.write_sync(lambda tx: attach(tx, admin, volume, host="here", here="here"))
    store.write_sync(lambda tx: reset_status(tx, volume, migration_status="none"))
    assert ending(store, operation)[0] == "ready"


def test_a_reset_volume_leaves_no_attachment_to_a_detach_that_was_ended(store: Store, admin: Caller) -> None:
    """The agent looks after attachments that no operation is at work on."""
    volume = rows.volume(store, status="in-use")
    attachment = rows.attached(store, volume, agent_host="host1", connection="{}", export="{}")
    operation = store.write_sync(lambda tx: detach(tx, admin, volume_id=volume))
    store.write_sync(lambda tx: reset_status(tx, volume, status="in-use"))
    assert ending(store, operation)[0] == "failed"
    assert store.read_sync(lambda tx: attachments.get(tx, attachment)).operation_id is None

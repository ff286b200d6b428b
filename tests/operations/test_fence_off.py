# SPDX-License-Identifier: Apache-2.0
"""A running operation whose resource is taken away: one ending, whoever takes it."""

from __future__ import annotations

import pytest

from breezeblock.model.errors import WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.fence_off import fence_off
from breezeblock.operations.host.attach import attach
from breezeblock.operations.volume.delete import delete
from breezeblock.operations.volume.edit import reset_status
from breezeblock.store import history, keys, operations
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

# SPDX-License-Identifier: Apache-2.0
"""A snapshot's status written by an administrator, and reported by its host."""

from __future__ import annotations

import pytest

from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.identity import Caller
from breezeblock.model.snapshot import Snapshot
from breezeblock.operations.snapshot.create import CreateSnapshot, create
from breezeblock.operations.snapshot.edit import report_status, reset_status
from breezeblock.store import history, keys, messages, snapshots
from breezeblock.store.database import Store
from tests.api import rows


def seen(store: Store, snapshot: str) -> Snapshot:
    return store.read_sync(lambda tx: snapshots.get(tx, snapshot))


def reported(store: Store, caller: Caller, snapshot: str, status: str, progress: str | None = None) -> None:
    store.write_sync(lambda tx: report_status(tx, caller, snapshot, status, progress))


def test_a_reset_ends_the_running_create_and_lets_the_next_in(store: Store, admin: Caller) -> None:
    volume = rows.volume(store)
    first, operation = store.write_sync(lambda tx: create(tx, admin, CreateSnapshot(volume_id=volume)))
    _, behind = store.write_sync(lambda tx: create(tx, admin, CreateSnapshot(volume_id=volume)))
    store.write_sync(lambda tx: reset_status(tx, admin, first.id, "error"))
    found = seen(store, first.id)
    assert (found.status, found.operation_id) == ("error", None)
    ended = store.read_sync(lambda tx: history.get(tx, operation, None))
    assert (ended.state, ended.error) == (
        "failed",
        {"code": "lost.fenced", "message": "ended by reset-status"},
    )
    assert store.read_sync(lambda tx: keys.blockers(tx, behind)) == []
    ((code, text, _),) = store.read_sync(lambda tx: messages.findings_of(tx, first.id))
    assert (code, text) == ("status.reset", "reset by an administrator from creating to error")


def test_a_reset_to_what_is_no_status_changes_nothing(store: Store, admin: Caller) -> None:
    snapshot = rows.snapshot(store, rows.volume(store))
    with pytest.raises(BadRequest, match="error_deleting"):
        store.write_sync(lambda tx: reset_status(tx, admin, snapshot, "asleep"))
    assert seen(store, snapshot).status == "available"


def test_another_projects_snapshot_is_not_there(store: Store, stranger: Caller) -> None:
    snapshot = rows.snapshot(store, rows.volume(store), status="creating")
    with pytest.raises(NotFound):
        store.write_sync(lambda tx: reset_status(tx, stranger, snapshot, "error"))
    with pytest.raises(NotFound):
        reported(store, stranger, snapshot, "error")
    assert seen(store, snapshot).status == "creating"


def test_a_report_moves_the_progress_and_then_the_status(store: Store, member: Caller) -> None:
    snapshot = rows.snapshot(store, rows.volume(store), status="creating")
    reported(store, member, snapshot, "creating", "40%")
    assert (seen(store, snapshot).status, seen(store, snapshot).progress) == ("creating", "40%")
    reported(store, member, snapshot, "available")
    assert (seen(store, snapshot).status, seen(store, snapshot).progress) == ("available", "40%")


@pytest.mark.parametrize(
    ("now", "status"), [("creating", "deleting"), ("deleting", "available"), ("available", "available")]
)
def test_a_report_that_the_status_does_not_allow_is_refused(
    store: Store, member: Caller, now: str, status: str
) -> None:
    snapshot = rows.snapshot(store, rows.volume(store), status=now)
    with pytest.raises(BadRequest, match=f"status {now}"):
        reported(store, member, snapshot, status)
    assert seen(store, snapshot).status == now

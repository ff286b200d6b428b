# SPDX-License-Identifier: Apache-2.0
"""A verb that is cancelled or ended from outside leaves no status that nobody holds, no charge and no promise of room."""

from __future__ import annotations

import pytest

from breezeblock.drivers.driver import Kind
from breezeblock.flow.linear import Outcome
from breezeblock.model.errors import Stopping
from breezeblock.model.identity import Caller
from breezeblock.model.status import SNAPSHOT, VOLUME, at_rest
from breezeblock.model.units import GiB
from breezeblock.operations.snapshot.delete import delete as delete_snapshot
from breezeblock.operations.volume.create import CreateVolume, create
from breezeblock.operations.volume.delete import delete
from breezeblock.operations.volume.edit import reset_status
from breezeblock.operations.volume.extend import extend
from breezeblock.store import operations, pools, quotas, snapshots, volumes
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx
from tests.api import rows
from tests.operations.outside import Outside


@pytest.fixture
def outside(store: Store) -> Outside:
    return Outside(store)


@pytest.fixture
def volume(store: Store, outside: Outside) -> str:
    id = rows.volume(store)
    outside.home.driver.put(id, Kind.VOLUME, GiB)
    return id


def cancel(store: Store, operation: str | None) -> None:
    assert operation is not None
    assert store.write_sync(lambda tx: operations.request_cancel(tx, operation))


def promised(store: Store) -> int:
    """Bytes of reservations that the next report does not remove."""

    def again(tx: Tx) -> None:
        before = pools.page(tx)[0].report
        pools.report(tx, rows.BACKEND, [("pool", before, tx.now_us() + 1)])

    store.write_sync(again)
    return sum(pool.reserved_bytes for pool in store.read_sync(lambda tx: pools.page(tx)))


def snapshot_status(store: Store, id: str) -> str:
    return store.read_sync(lambda tx: snapshots.get(tx, id)).status


@pytest.mark.parametrize("before", ["available", "error", "error_extending"])
def test_a_delete_that_is_cancelled_before_it_began_leaves_the_volume_as_it_was(
    store: Store, outside: Outside, volume: str, admin: Caller, before: str
) -> None:
    rows.status(store, volume, before)
    child = rows.snapshot(store, volume, status="error")
    cancel(store, store.write_sync(lambda tx: delete(tx, admin, volume, cascade=True)))
    assert snapshot_status(store, child) == "deleting"
    assert outside.settle() == [Outcome.CANCELLED]
    seen = rows.seen(store, volume)
    assert (seen.status, seen.operation_id, snapshot_status(store, child)) == (before, None, "error")
    assert outside.home.driver.objects != {}


def test_a_forced_delete_that_is_cancelled_does_not_bring_back_a_status_whose_operation_it_ended(
    store: Store, outside: Outside, admin: Caller
) -> None:
    made, _ = store.write_sync(lambda tx: create(tx, admin, CreateVolume(size=1)))
    store.write_sync(lambda tx: volumes.write(tx, made.id, backend_id=rows.BACKEND, pool="pool"))
    cancel(store, store.write_sync(lambda tx: delete(tx, admin, made.id, force=True)))
    assert outside.settle() == [Outcome.CANCELLED]
    assert rows.seen(store, made.id).status == "error"


def test_a_cancelled_delete_of_a_snapshot_leaves_it_as_it_was(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    child = rows.snapshot(store, volume, status="error")
    cancel(store, store.write_sync(lambda tx: delete_snapshot(tx, admin, child)))
    assert outside.settle() == [Outcome.CANCELLED]
    assert snapshot_status(store, child) == "error"


def test_what_is_at_rest_stays_and_what_an_operation_held_is_in_error() -> None:
    assert at_rest(VOLUME, "error_restoring") == "error_restoring"
    assert at_rest(VOLUME, "awaiting-transfer") == "awaiting-transfer"
    assert at_rest(VOLUME, "extending") == "error"
    assert at_rest(SNAPSHOT, "restoring") == "error"


def test_an_extend_that_is_ended_by_a_reset_gives_room_and_charge_back(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    store.write_sync(lambda tx: extend(tx, admin, volume, 3, attached_allowed=False))
    assert (
        outside.turn(queues=["scheduler"]) is Outcome.RELEASED
    )  # room is reserved, the backend has not been asked
    assert store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT))["gigabytes"] == 3
    store.write_sync(lambda tx: reset_status(tx, volume, status="available"))
    assert store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT))["gigabytes"] == 1
    assert store.read_sync(quotas.recount) == []
    assert promised(store) == 0
    store.write_sync(lambda tx: extend(tx, admin, volume, 2, attached_allowed=False))
    assert outside.settle()[-1] is Outcome.SUCCEEDED
    assert store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT))["gigabytes"] == 2


def test_a_create_that_is_ended_by_a_forced_delete_leaves_no_promise(
    store: Store, outside: Outside, admin: Caller
) -> None:
    made, _ = store.write_sync(lambda tx: create(tx, admin, CreateVolume(size=2)))
    assert outside.turn(queues=["scheduler"]) is Outcome.RELEASED
    store.write_sync(lambda tx: delete(tx, admin, made.id, force=True))
    assert outside.settle() == [Outcome.SUCCEEDED]
    assert promised(store) == 0
    assert store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT))["gigabytes"] == 0


def test_a_service_that_stops_while_it_tells_the_new_size_goes_on_later(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    able = '{"online_extend":true,"targets":{"memory":{"live_resize":true}}}'
    store.write_sync(lambda tx: pools.write_backend(tx, rows.BACKEND, capabilities=able))
    rows.attached(
        store,
        volume,
        export='{"target":"memory","export":{"name":"volume-x","volume_id":"x","mode":"rw","size":1}}',
    )
    store.write_sync(lambda tx: extend(tx, admin, volume, 2, attached_allowed=True))
    outside.home.target.resized_with = Stopping()
    assert outside.turn(queues=["scheduler"]) is Outcome.RELEASED
    assert outside.turn() is Outcome.PARKED
    assert rows.seen(store, volume).status == "extending"

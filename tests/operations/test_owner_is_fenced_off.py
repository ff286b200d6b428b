# SPDX-License-Identifier: Apache-2.0
"""A reset or a forced delete comes while an owner is in the middle of its work: the owner loses, its result is not written, and what it
made outside is found and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from breezeblock.drivers.driver import Kind
from breezeblock.flow.linear import Outcome
from breezeblock.model.identity import Caller
from breezeblock.model.units import GiB
from breezeblock.operations.snapshot.create import CreateSnapshot
from breezeblock.operations.snapshot.create import create as create_snapshot
from breezeblock.operations.volume.create import CreateVolume, create
from breezeblock.operations.volume.delete import delete
from breezeblock.operations.volume.edit import reset_status
from breezeblock.operations.volume.extend import extend
from breezeblock.store import messages, quotas, volumes
from breezeblock.store.database import Store
from tests.api import rows
from tests.operations.outside import Outside


@pytest.fixture
def outside(store: Store) -> Outside:
    return Outside(store)


def meanwhile(outside: Outside, verb: str, do: Callable[[], Any]) -> None:
    """Let it happen at the end of the driver's next call of that verb, before anybody knows its result."""
    driver = outside.home.driver
    plain = getattr(driver, verb)

    def called(*args: Any, **values: Any) -> Any:
        setattr(driver, verb, plain)
        result = plain(*args, **values)
        do()
        return result

    setattr(driver, verb, called)


def used(store: Store) -> dict[str, int]:
    assert store.read_sync(quotas.recount) == []
    return {k: v for k, v in store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT)).items() if v}


def test_a_create_that_is_reset_writes_nothing_more(store: Store, outside: Outside, admin: Caller) -> None:
    made, _ = store.write_sync(lambda tx: create(tx, admin, CreateVolume(size=2)))
    meanwhile(
        outside, "create", lambda: store.write_sync(lambda tx: reset_status(tx, made.id, status="error"))
    )
    assert outside.settle() == [Outcome.LOST]
    seen = rows.seen(store, made.id)
    assert (seen.status, seen.object_json, seen.operation_id) == ("error", "", None)
    assert [code for code, *_ in store.read_sync(lambda tx: messages.findings_of(tx, made.id))] == [
        "status.reset"
    ]
    assert set(outside.home.driver.objects) == {f"{Kind.VOLUME}-{made.id}"}
    store.write_sync(lambda tx: delete(tx, admin, made.id))
    assert outside.settle() == [Outcome.SUCCEEDED]
    assert outside.home.driver.objects == {}
    assert used(store) == {}


def test_a_create_that_is_deleted_by_force_is_taken_over_whole(
    store: Store, outside: Outside, admin: Caller
) -> None:
    made, _ = store.write_sync(lambda tx: create(tx, admin, CreateVolume(size=2)))
    meanwhile(outside, "create", lambda: store.write_sync(lambda tx: delete(tx, admin, made.id, force=True)))
    assert outside.settle() == [Outcome.LOST, Outcome.SUCCEEDED]
    assert store.read_sync(lambda tx: volumes.find(tx, made.id)) is None
    assert outside.home.driver.objects == {}
    assert used(store) == {}


def test_an_extend_that_is_reset_gives_back_what_it_charged(
    store: Store, outside: Outside, admin: Caller
) -> None:
    id = rows.volume(store)
    outside.home.driver.put(id, Kind.VOLUME, GiB)
    store.write_sync(lambda tx: extend(tx, admin, id, 4, attached_allowed=False))
    meanwhile(
        outside, "extend", lambda: store.write_sync(lambda tx: reset_status(tx, id, status="available"))
    )
    assert outside.settle() == [Outcome.LOST]
    seen = rows.seen(store, id)
    assert (seen.status, seen.size) == ("available", 1)
    assert used(store)["gigabytes"] == 1


def test_a_snapshot_whose_volume_is_deleted_by_force_goes_with_it(
    store: Store, outside: Outside, admin: Caller
) -> None:
    """The snapshot's operation holds the volume's key: the delete waits for it, and then takes both."""
    id = rows.volume(store)
    outside.home.driver.put(id, Kind.VOLUME, GiB)
    store.write_sync(lambda tx: create_snapshot(tx, admin, CreateSnapshot(volume_id=id)))

    def deleted() -> None:
        store.write_sync(lambda tx: delete(tx, admin, id, cascade=True, force=True))

    meanwhile(outside, "snapshot", deleted)
    outside.settle()
    assert store.read_sync(lambda tx: volumes.find(tx, id)) is None
    assert outside.home.driver.objects == {}
    assert used(store) == {}

# SPDX-License-Identifier: Apache-2.0
"""What becomes of work whose server is gone, and of what is owed to a backend when it is back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from breezeblock.drivers.driver import Kind
from breezeblock.flow.linear import Outcome
from breezeblock.model.identity import Caller
from breezeblock.model.units import GiB
from breezeblock.operations.host.attach import attach
from breezeblock.operations.volume.create import CreateVolume, create
from breezeblock.operations.volume.delete import delete
from breezeblock.process.orphans import Orphans
from breezeblock.store import debts, history, operations, services, volumes
from breezeblock.store.database import Store
from breezeblock.store.operations import NewOperation
from breezeblock.store.schema import debts as debts_table
from breezeblock.store.transaction import Tx
from tests.api import rows
from tests.operations.outside import HOST, Outside

ADMIN = Caller(user_id=rows.USER, project_id=rows.PROJECT, is_admin=True)
BACKEND_QUEUE = f"backend/{rows.BACKEND}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rows.prepared(tmp_path_factory.mktemp("orphans") / "prepared.sqlite")


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(prepared, tmp_path / "orphans.sqlite")
    store = Store(f"sqlite:///{tmp_path / 'orphans.sqlite'}", threads=1)
    yield store
    store.close()


@pytest.fixture
def outside(store: Store) -> Outside:
    return Outside(store)


def watch(store: Store, outside: Outside) -> Orphans:
    """A scheduler that serves no backend, and finds a queue dead as soon as nobody serves it."""
    return Orphans(store, lambda: ["scheduler"], outside, after_seconds=0.0, lease_seconds=15.0)


def served(store: Store, *queues: str) -> None:
    """Another process says that it serves these queues, and no others."""
    store.write_sync(
        lambda tx: services.seen(
            tx, "p" * 36, host=HOST, pid=1, roles="volume", queues=queues, started_at=tx.now
        )
    )


def owed(store: Store) -> list[str]:
    return [row.task for row in store.read_sync(lambda tx: tx.rows(select(debts_table.c.task)))]


def test_a_create_does_not_go_back_to_the_pool_that_nobody_serves(store: Store, outside: Outside) -> None:
    made, operation = store.write_sync(lambda tx: create(tx, ADMIN, CreateVolume(size=1)))
    assert outside.turn(queues=["scheduler"]) is Outcome.RELEASED
    watch(store, outside).look()
    ended = store.read_sync(lambda tx: history.get(tx, operation, None))
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == ("failed", "placement.no-backend")
    assert ended.round == 2
    assert rows.seen(store, made.id).status == "error"
    assert owed(store) == ["allocate"]


def test_what_is_owed_is_paid_by_the_process_that_serves_the_queue_not_by_the_scheduler_alone(
    store: Store, outside: Outside
) -> None:
    made, _ = store.write_sync(lambda tx: create(tx, ADMIN, CreateVolume(size=1)))
    outside.turn(queues=["scheduler"])
    outside.home.driver.put(made.id, Kind.VOLUME, GiB)  # it was made, and nobody heard of it
    scheduler = watch(store, outside)
    scheduler.look()
    scheduler.look()
    assert outside.settle() == []  # nobody is there to pay
    served(store, BACKEND_QUEUE)
    scheduler.look()
    scheduler.look()
    assert outside.settle() == [Outcome.SUCCEEDED]  # once
    assert outside.home.driver.objects == {}
    assert owed(store) == []


def test_what_a_later_round_made_at_the_same_place_is_not_taken_for_what_is_owed(
    store: Store, outside: Outside
) -> None:
    made, _ = store.write_sync(lambda tx: create(tx, ADMIN, CreateVolume(size=1)))
    outside.turn(queues=["scheduler"])
    watch(store, outside).look()
    assert owed(store) == ["allocate"]

    def placed_again(tx: Tx) -> None:
        volumes.write(tx, made.id, backend_id=rows.BACKEND, pool="pool")
        volumes.settle(tx, made.id, "available")

    store.write_sync(placed_again)
    kept = outside.home.driver.put(made.id, Kind.VOLUME, GiB)
    served(store, BACKEND_QUEUE)
    watch(store, outside).look()
    assert outside.settle() == [Outcome.SUCCEEDED]
    assert list(outside.home.driver.objects.values()) == [kept]
    assert owed(store) == []


def test_a_device_that_was_connected_anew_is_not_taken_for_what_is_owed(
    store: Store, outside: Outside
) -> None:
    volume = rows.volume(store)
    outside.home.driver.put(volume, Kind.VOLUME, GiB)
    served(store, f"host/{HOST}")
    store.write_sync(lambda tx: attach(tx, ADMIN, volume, host=HOST))
    assert outside.turn(queues=[BACKEND_QUEUE]) is Outcome.RELEASED  # exported; now its host goes
    served(store)
    for _ in range(2):  # the host's queue, then the backend's, which nobody serves either
        watch(store, outside).look()
    assert sorted(owed(store)) == ["connect", "export"]
    served(store, f"host/{HOST}")
    store.write_sync(lambda tx: attach(tx, ADMIN, volume, host=HOST))
    outside.settle()
    served(store, f"host/{HOST}", BACKEND_QUEUE)
    watch(store, outside).look()
    assert outside.settle() == [Outcome.SUCCEEDED] * 2
    assert rows.seen(store, volume).status == "in-use"
    assert len(outside.home.target.exports) == len(outside.connected.devices) == 1
    assert owed(store) == []


def test_one_that_cannot_be_decided_keeps_neither_the_others_nor_its_lease(
    store: Store, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    strange = NewOperation(
        kind="volume.fold", resource_type="volume", resource_id="r" * 36, project_id=rows.PROJECT, user_id=rows.USER,
        request_id="req-1", queue=BACKEND_QUEUE, tasks=["fold"],
    )  # fmt: skip
    id = store.write_sync(lambda tx: operations.submit(tx, strange))
    volume = rows.volume(store)
    store.write_sync(lambda tx: delete(tx, ADMIN, volume))
    watch(store, outside).look()
    assert rows.seen(store, volume).status == "error_deleting"
    assert id in caplog.text
    assert store.read_sync(lambda tx: history.find_running(tx, id)) == "volume.fold"


def test_a_debt_is_due_once(store: Store, outside: Outside) -> None:
    store.write_sync(lambda tx: create(tx, ADMIN, CreateVolume(size=1)))
    outside.turn(queues=["scheduler"])
    watch(store, outside).look()
    assert len(store.read_sync(lambda tx: debts.due(tx, [BACKEND_QUEUE]))) == 1
    served(store, BACKEND_QUEUE)
    watch(store, outside).look()
    assert store.read_sync(lambda tx: debts.due(tx, [BACKEND_QUEUE])) == []

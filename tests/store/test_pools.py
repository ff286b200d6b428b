# SPDX-License-Identifier: Apache-2.0
"""Pools and reservations: schedulers that place at once never promise the same bytes twice, and a promise ends with the first report
that was sampled after its operation, never before."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from breezeblock.store import pools, volumes
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx
from tests.store.rows import volume

GIB = 1 << 30
DEADLINE = 30.0


def backend(tx: Tx, id: str = "b", **values: Any) -> None:
    pools.register(
        tx,
        {
            "id": id, "name": f"name-{id}", "host": "h", "driver": "file", "availability_zone": "nova", "host_bound": True,
            "capabilities": "{}", "state": "up", **values,
        },
    )  # fmt: skip


def report(tx: Tx, backend_id: str = "b", *, sampled_us: int | None = None, **free: int) -> None:
    """One report that names these pools with their free bytes."""
    at = tx.now_us() if sampled_us is None else sampled_us
    bodies: list[tuple[str, Mapping[str, Any], int]] = [
        (name, {"free": size}, at) for name, size in free.items()
    ]
    pools.report(tx, backend_id, bodies)


@pytest.fixture
def placed(store: Store) -> Store:
    def write(tx: Tx) -> None:
        backend(tx)
        report(tx, pool=10 * GIB)

    store.write_sync(write)
    return store


def reserved(store: Store) -> int:
    (row,) = store.read_sync(pools.page)
    return row.reserved_bytes


def place(store: Store, id: str, size: int) -> bool:
    """What a scheduler does: look, decide, promise; all in one transaction."""

    def write(tx: Tx) -> bool:
        (row,) = pools.page(tx, lock=True)
        if row.report["free"] - row.reserved_bytes < size:
            return False
        pools.reserve(tx, id, row.id, size)
        return True

    return store.write_sync(write)


def test_schedulers_that_place_at_once_never_overbook(placed: Store) -> None:
    results: list[bool] = []
    start = threading.Barrier(2)

    def work(name: str) -> None:
        start.wait(20)
        for n in range(8):
            results.append(place(placed, f"{name}:{n}", GIB))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("s1", "s2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [False] * 6 + [True] * 10
    assert reserved(placed) == 10 * GIB


def test_a_promise_ends_with_the_first_report_sampled_after_its_operation(placed: Store) -> None:
    place(placed, "op:1", GIB)
    placed.write_sync(lambda tx: report(tx, pool=9 * GIB))
    assert reserved(placed) == GIB, "its operation still runs"
    before_end = placed.read_sync(lambda tx: tx.now_us())
    placed.write_sync(lambda tx: pools.settle(tx, "op:1"))
    placed.write_sync(lambda tx: report(tx, pool=9 * GIB, sampled_us=before_end))
    assert reserved(placed) == GIB, "that report was sampled before the end, though it was written after it"
    placed.write_sync(lambda tx: report(tx, pool=9 * GIB, sampled_us=tx.now_us() + 1))
    assert reserved(placed) == 0


def test_a_promise_of_which_nothing_came_is_taken_back_at_once(placed: Store) -> None:
    place(placed, "op:1", GIB)
    placed.write_sync(lambda tx: pools.settle(tx, "op:1", gone=True))
    assert reserved(placed) == 0


def test_a_round_that_is_run_again_promises_once(placed: Store) -> None:
    place(placed, "op:1", GIB)
    place(placed, "op:1", GIB)
    assert reserved(placed) == GIB


def test_an_older_report_does_not_replace_a_newer_one(placed: Store) -> None:
    placed.write_sync(lambda tx: report(tx, pool=3 * GIB))
    placed.write_sync(lambda tx: report(tx, pool=8 * GIB, sampled_us=1))
    (row,) = placed.read_sync(pools.page)
    assert row.report["free"] == 3 * GIB


def test_a_pool_that_is_not_reported_any_more_goes_and_others_backends_stay(placed: Store) -> None:
    def write(tx: Tx) -> None:
        backend(tx, "c")
        report(tx, "c", one=GIB, two=GIB)
        report(tx, "b", other=GIB)

    placed.write_sync(write)
    assert [row.host for row in placed.read_sync(pools.page)] == [
        "h@name-b#other",
        "h@name-c#one",
        "h@name-c#two",
    ]


def test_a_pool_counts_what_the_database_had_there_at_its_report_and_what_was_promised_since(
    placed: Store,
) -> None:
    def write(tx: Tx) -> None:
        volume(tx, backend_id="b", pool="pool", size=3)
        volume(tx, backend_id="b", pool="pool", size=4)
        volume(tx, backend_id="b", pool="pool", size=5, status="creating")
        volume(tx, backend_id=None)
        report(tx, pool=10 * GIB)
        pools.reserve(tx, "op:1", "b#pool", 5 * GIB)

    placed.write_sync(write)
    (row,) = placed.read_sync(pools.page)
    assert (row.volumes, row.allocated_gib) == (3, 12)


def test_a_volume_that_is_made_while_its_pool_reports_is_counted_once_at_least(placed: Store) -> None:
    """Its promise must not go by a report that counted the volumes before it was one of them."""

    def begun(tx: Tx) -> str:
        pools.reserve(tx, "op:1", "b#pool", 5 * GIB)
        return volume(tx, backend_id="b", pool="pool", size=5, status="creating")

    made, ended = placed.write_sync(begun), threading.Event()

    def reports(tx: Tx) -> None:
        report(tx, sampled_us=tx.now_us() + 1_000_000, pool=5 * GIB)

    def reported() -> None:
        assert ended.wait(DEADLINE)
        placed.write_sync(reports)

    thread = threading.Thread(target=reported)
    thread.start()

    def finishes(tx: Tx) -> None:
        volumes.settle(tx, made, "available")
        pools.settle(tx, "op:1")
        ended.set()
        thread.join(0.5)

    placed.write_sync(finishes)
    thread.join(DEADLINE)
    (row,) = placed.read_sync(pools.page)
    assert (row.volumes, row.allocated_gib) == (1, 5)


def test_what_an_operator_set_survives_a_restart_of_the_backend(placed: Store) -> None:
    placed.write_sync(
        lambda tx: pools.write_backend(tx, "b", enabled=False, disabled_reason="disk", frozen=True)
    )
    placed.write_sync(lambda tx: backend(tx, driver="lvm", state="down"))
    row = placed.read_sync(lambda tx: pools.backend(tx, "b"))
    assert row is not None
    assert (row.enabled, row.disabled_reason, row.frozen) == (False, "disk", True)
    assert (row.driver, row.state) == ("lvm", "down")


def test_a_queue_of_storage_that_is_bound_to_a_host_names_the_host(placed: Store) -> None:
    placed.write_sync(lambda tx: backend(tx, "shared", host_bound=False))
    rows = {row.id: row.queue for row in placed.read_sync(pools.all_backends)}
    assert rows == {"b": "backend/b@h", "shared": "backend/shared"}


def test_the_newest_decision_of_a_resource_is_told(placed: Store) -> None:
    placed.write_sync(lambda tx: pools.keep_decision(tx, "op:1", "v", "op", b'{"n":1}'))
    placed.write_sync(lambda tx: pools.keep_decision(tx, "op:2", "v", "op", b'{"n":2}'))
    found = placed.read_sync(lambda tx: pools.decision_of(tx, "v"))
    assert found is not None
    assert found[0] == '{"n":2}'
    placed.write_sync(lambda tx: pools.forget(tx, "v"))
    assert placed.read_sync(lambda tx: pools.decision_of(tx, "v")) is None

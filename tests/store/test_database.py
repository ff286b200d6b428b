# SPDX-License-Identifier: Apache-2.0
"""The Store on each database: conflicts are run again, outages are told as such, and bells ring after the commit only."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
from sqlalchemy import create_engine, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from breezeblock.model.errors import Stopping, Unreachable
from breezeblock.store import database
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.schema import counters
from breezeblock.store.transaction import Tx
from tests.store.rows import Bells

DEADLINE = 30.0

#: How a connection learns its own number, and another ends it.
_OWN_CONNECTION = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
    "mariadb": ("SELECT CONNECTION_ID()", "KILL {}"),
}


def _read(store: Store, name: str) -> int:
    return int(
        store.read_sync(
            lambda tx: tx.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one()
        )
    )


def test_deadlocked_transactions_are_run_again_and_both_succeed(store: Store) -> None:
    """Two functions that lock the same two rows in opposite order: a server ends one of them, and the store runs it again."""
    store.write_sync(lambda tx: tx.execute(insert(counters), [{"name": n, "value": 0} for n in "ab"]))
    both = threading.Barrier(2)
    runs: list[str] = []

    def crossing(order: str) -> None:
        def fn(tx: Tx) -> None:
            runs.append(order)
            for n, name in enumerate(order):
                tx.execute(update(counters).where(counters.c.name == name).values(value=counters.c.value + 1))
                if n == 0 and tx.dialect != "sqlite" and len(runs) <= 2:
                    both.wait(DEADLINE)

        store.write_sync(fn)

    threads = [threading.Thread(target=crossing, args=(order,)) for order in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert (_read(store, "a"), _read(store, "b")) == (2, 2)
    assert len(runs) == (2 if store.dialect == "sqlite" else 3)


def test_bells_ring_after_the_commit_and_never_for_a_failure(store: Store, bells: Bells) -> None:
    def fine(tx: Tx) -> None:
        tx.ring("q1")
        assert bells.rung == []

    def fails(tx: Tx) -> None:
        tx.ring("q2")
        raise ValueError

    store.write_sync(fine)
    with pytest.raises(ValueError):
        store.write_sync(fails)
    assert bells.names() == {"q1"}


def test_a_part_that_fails_leaves_nothing_behind_and_the_rest_goes_on(store: Store, bells: Bells) -> None:
    def taken_twice(tx: Tx) -> None:
        with tx.part():
            tx.ring("lost")
            for name in ("gone", "kept"):
                tx.execute(insert(counters), {"name": name, "value": 1})

    def fn(tx: Tx) -> None:
        tx.execute(insert(counters), {"name": "kept", "value": 1})
        with pytest.raises(IntegrityError):
            taken_twice(tx)
        tx.ring("kept")

    store.write_sync(fn)
    names = store.read_sync(lambda tx: set(tx.execute(select(counters.c.name)).scalars()))
    assert ("kept" in names, "gone" in names) == (True, False)
    assert bells.names() == {"kept"}


def test_coroutines_and_threads_use_one_store(store: Store) -> None:
    async def both() -> int:
        await store.write(lambda tx: tx.execute(insert(counters), {"name": "c", "value": 5}))
        return await store.read(
            lambda tx: int(tx.execute(text("SELECT value FROM counters WHERE name = 'c'")).scalar_one())
        )

    assert asyncio.run(both()) == 5
    assert _read(store, "c") == 5


def test_a_closed_store_says_that_the_service_is_stopping(store: Store) -> None:
    store.close()
    with pytest.raises(Stopping):
        store.write_sync(lambda tx: None)
    with pytest.raises(Stopping):
        store.read_sync(lambda tx: tx.rows(select(counters)))


@pytest.mark.lab
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_connection_that_the_server_has_ended_is_replaced_unnoticed(
    server: str, request: pytest.FixtureRequest
) -> None:
    """A restarted server leaves dead connections in the pool: the next transaction must not fail for it."""
    url = request.getfixturevalue(f"{server}_url")
    upgrade(url)
    store = Store(url)
    mine, kill = _OWN_CONNECTION[server]
    pooled = store.read_sync(lambda tx: tx.execute(text(mine)).scalar_one())
    assert store.read_sync(lambda tx: tx.execute(text(mine)).scalar_one()) == pooled
    killer = create_engine(url, poolclass=NullPool)
    with killer.connect() as connection:
        connection.execute(text(kill.format(pooled)))
    assert store.write_sync(lambda tx: tx.execute(text(mine)).scalar_one()) != pooled
    store.close()


@pytest.mark.lab
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_a_connection_that_ends_in_the_middle_of_a_part_is_replaced_unnoticed(
    server: str, request: pytest.FixtureRequest
) -> None:
    """The part cannot take anything back by a dead connection; what it raises must still be what the store runs again."""
    url = request.getfixturevalue(f"{server}_url")
    upgrade(url)
    store = Store(url)
    mine, kill = _OWN_CONNECTION[server]
    killer = create_engine(url, poolclass=NullPool)
    runs: list[int] = []

    def fn(tx: Tx) -> int:
        runs.append(tx.execute(text(mine)).scalar_one())
        with tx.part():
            if len(runs) == 1:
                with killer.connect() as connection:
                    connection.execute(text(kill.format(runs[0])))
            return tx.now_us()

    assert store.write_sync(fn) > 0
    assert len(set(runs)) == 2
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mariadb+pymysql"])
def test_a_server_that_says_nothing_is_not_waited_for_for_long(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limits in database._TIMEOUTS.values():
        monkeypatch.setitem(limits, "connect_timeout", 2)
    monkeypatch.setitem(
        database._TIMEOUTS["mariadb"], "read_timeout", 2
    )  # PyMySQL reads the greeting under this one
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(f"{scheme}://u:p@127.0.0.1:{silent.getsockname()[1]}/d", threads=1)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            store.read_sync(lambda tx: tx.now_us())
        assert time.monotonic() - began < 10
        store.close()


def test_an_outage_is_unreachable_not_a_defect() -> None:
    store = Store("postgresql+psycopg://nobody@/nothing?host=/nonexistent")
    with pytest.raises(Unreachable) as told:
        store.write_sync(lambda tx: None)
    assert told.value.transient
    assert "no work is lost" in told.value.remedy
    store.close()

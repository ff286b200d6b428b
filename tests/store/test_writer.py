# SPDX-License-Identifier: Apache-2.0
"""Group commits on SQLite: many functions, few commits, and whatever one of them does stays its own affair."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from breezeblock.model.errors import NoSpace, Stopping
from breezeblock.store import setup
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.schema import counters
from breezeblock.store.transaction import Tx
from breezeblock.store.writer import GroupWriter
from tests.store.rows import Bells

DEADLINE = 20.0


class Gate:
    """A store function that holds the writer until it is opened, so that a batch gathers behind it."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, tx: Tx) -> None:
        self.entered.set()
        assert self.open.wait(DEADLINE)


def _writer(store: Store) -> GroupWriter:
    assert store._writer is not None
    return store._writer


def _gathered(store: Store, functions: list[Any]) -> list[Future[Any]]:
    """Futures of functions that all went into one batch."""
    gate = Gate()
    first = _writer(store).submit(gate)
    assert gate.entered.wait(DEADLINE)
    futures = [_writer(store).submit(fn) for fn in functions]
    gate.open.set()
    first.result(DEADLINE)
    return futures


def _count(name: str) -> Any:
    def fn(tx: Tx) -> str:
        tx.execute(insert(counters), {"name": name, "value": 1})
        return name

    return fn


def _names(path: Path | str) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = {row[0] for row in connection.execute("SELECT name FROM counters")}
    connection.close()
    return found


def _file(store: Store) -> str:
    return str(store.url.database)


def test_many_functions_share_one_commit(sqlite_store: Store) -> None:
    before = _writer(sqlite_store).commits
    futures = _gathered(sqlite_store, [_count(f"n{n}") for n in range(100)])
    assert [f.result(DEADLINE) for f in futures] == [f"n{n}" for n in range(100)]
    assert _writer(sqlite_store).commits - before == 2  # the gate's, and one for all of them


def test_a_burst_of_coroutines_costs_far_fewer_commits(sqlite_store: Store) -> None:
    before = _writer(sqlite_store).commits

    async def burst() -> list[str]:
        return await asyncio.gather(*[sqlite_store.write(_count(f"n{n}")) for n in range(200)])

    assert len(asyncio.run(burst())) == 200
    assert _writer(sqlite_store).commits - before < 50


def test_one_failure_takes_back_only_its_own_changes(sqlite_store: Store, bells: Bells) -> None:
    def fails(tx: Tx) -> None:
        tx.ring("never")
        _count("lost")(tx)
        raise ValueError("mine alone")

    def fine(tx: Tx) -> str:
        tx.ring("rung")
        return str(_count("kept")(tx))

    good, bad, after = _gathered(sqlite_store, [fine, fails, _count("after")])
    assert (good.result(DEADLINE), after.result(DEADLINE)) == ("kept", "after")
    with pytest.raises(ValueError, match="mine alone"):
        bad.result(DEADLINE)
    assert {"kept", "after"} <= _names(_file(sqlite_store))
    assert "lost" not in _names(_file(sqlite_store))
    assert bells.names() == {"rung"}


def test_nobody_is_answered_before_the_commit(sqlite_store: Store) -> None:
    """The first function of a batch has no answer, and is not to be seen, while a later one still runs."""
    gate, last = Gate(), Gate()
    head = _writer(sqlite_store).submit(gate)
    assert gate.entered.wait(DEADLINE)
    first = _writer(sqlite_store).submit(_count("first"))
    held = _writer(sqlite_store).submit(last)
    gate.open.set()
    head.result(DEADLINE)
    assert last.entered.wait(DEADLINE)
    assert not first.done()
    assert "first" not in _names(_file(sqlite_store))
    last.open.set()
    assert first.result(DEADLINE) == "first"
    held.result(DEADLINE)
    assert "first" in _names(_file(sqlite_store))


def test_a_caller_that_went_away_harms_nobody(sqlite_store: Store) -> None:
    """A request that is cut while its write waits in the queue: it is not written, and the writer goes on."""

    async def cut() -> None:
        gate = Gate()
        head = asyncio.create_task(sqlite_store.write(gate))
        assert await asyncio.to_thread(gate.entered.wait, DEADLINE)
        waiting = asyncio.create_task(sqlite_store.write(_count("cut")))
        await asyncio.sleep(0)  # it is in the queue now
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open.set()
        await head

    asyncio.run(cut())
    assert sqlite_store.write_sync(_count("next")) == "next"
    assert "cut" not in _names(_file(sqlite_store))


def test_a_caller_that_goes_away_while_it_is_written_harms_nobody(sqlite_store: Store) -> None:
    async def cut() -> None:
        gate = Gate()
        task = asyncio.create_task(sqlite_store.write(gate))
        assert await asyncio.to_thread(gate.entered.wait, DEADLINE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open.set()

    asyncio.run(cut())
    assert sqlite_store.write_sync(_count("next")) == "next"


def test_even_an_exit_belongs_to_its_caller(sqlite_store: Store) -> None:
    def leaves(tx: Tx) -> None:
        _count("lost")(tx)
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        sqlite_store.write_sync(leaves)
    assert sqlite_store.write_sync(_count("next")) == "next"
    assert "lost" not in _names(_file(sqlite_store))


def test_a_bell_that_breaks_costs_no_write(sqlite_url: str) -> None:
    def broken(names: frozenset[str]) -> None:
        raise RuntimeError("no bell")

    upgrade(sqlite_url)
    store = Store(sqlite_url, bell=broken)

    def rings(tx: Tx) -> int:
        tx.ring("q")
        return 1

    assert [store.write_sync(rings), store.write_sync(rings)] == [1, 1]
    store.close()


def test_a_full_disk_fails_the_whole_batch_and_writes_none_of_it(sqlite_store: Store) -> None:
    """SQLite may take the whole transaction back when the disk is full: what ran before is gone, what would run after must not
    be committed by itself while its caller hears a failure."""
    pages = sqlite_store.write_sync(lambda tx: tx.conn.exec_driver_sql("PRAGMA page_count").scalar_one())

    def fills(tx: Tx) -> None:
        tx.execute(text("INSERT INTO counters VALUES (:name, 1)"), {"name": "x" * 400_000})

    def limit(number: int) -> Any:
        return lambda tx: tx.conn.exec_driver_sql(f"PRAGMA max_page_count={number}").scalar_one()

    sqlite_store.write_sync(limit(pages + 2))
    futures = _gathered(sqlite_store, [_count("before"), fills, _count("after")])
    failures = [f.exception(DEADLINE) for f in futures]
    there = _names(_file(sqlite_store)) & {"before", "after"}
    told = {
        name for name, failure in zip(("before", "fills", "after"), failures, strict=True) if failure is None
    }
    assert there == told
    assert isinstance(failures[1], NoSpace)
    assert "Free space" in failures[1].remedy
    sqlite_store.write_sync(limit(2**30))
    assert sqlite_store.write_sync(_count("next")) == "next"


def test_closing_writes_what_was_handed_over_and_refuses_the_rest(sqlite_url: str) -> None:
    upgrade(sqlite_url)
    store = Store(sqlite_url)
    store.write_sync(setup.prepare)
    futures = _gathered(store, [_count(f"n{n}") for n in range(20)])
    store.close()
    assert [f.result(0) for f in futures] == [f"n{n}" for n in range(20)]
    with pytest.raises(Stopping):
        store.write_sync(_count("late"))
    with pytest.raises(Stopping):
        store.read_sync(lambda tx: tx.rows(select(counters)))
    assert not list(Path(_file(store)).parent.glob("*-wal")), (
        "the last connection moved the log into the file"
    )


def test_a_reader_cannot_write(sqlite_store: Store) -> None:
    with pytest.raises(Exception, match="readonly"):
        sqlite_store.read_sync(_count("smuggled"))


def test_a_read_is_one_snapshot(sqlite_store: Store) -> None:
    def twice(tx: Tx) -> tuple[int, int]:
        first = len(tx.rows(select(counters)))
        sqlite_store.write_sync(_count("meanwhile"))
        return first, len(tx.rows(select(counters)))

    before, after = sqlite_store.read_sync(twice)
    assert before == after

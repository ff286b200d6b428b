# SPDX-License-Identifier: Apache-2.0
"""Claims: who gets which operation, when, and how long it is theirs. On all three databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from sqlalchemy import event, select, update

from breezeblock.store import operations
from breezeblock.store.claims import StoreClaims
from breezeblock.store.database import Store
from breezeblock.store.operations import BULK, INTERACTIVE, Claimed
from breezeblock.store.schema import operations as table
from tests.store.rows import operation

LEASE_US = 15_000_000


def claim(
    store: Store, owner: str, queues: Sequence[str] = ("q",), lane: int = BULK, limit: int = 10
) -> list[Claimed]:
    return store.write_sync(lambda tx: operations.claim(tx, owner, queues, lane, limit, LEASE_US))


def submit(store: Store, **values: object) -> str:
    return store.write_sync(lambda tx: operation(tx, **values))


def expire(store: Store, id: str) -> None:
    store.write_sync(lambda tx: tx.execute(update(table).where(table.c.id == id).values(lease_until_us=1)))


def test_the_oldest_come_first_and_nobody_else_gets_them(store: Store) -> None:
    ids = [submit(store) for _ in range(5)]
    assert [c.id for c in claim(store, "a", limit=3)] == ids[:3]
    assert [c.id for c in claim(store, "b")] == ids[3:]
    assert claim(store, "a") == []


def test_only_my_queues_and_my_lane(store: Store) -> None:
    mine = submit(store, queue="q", lane=INTERACTIVE)
    submit(store, queue="other", lane=INTERACTIVE)
    submit(store, queue="q", lane=BULK)
    assert [c.id for c in claim(store, "a", lane=INTERACTIVE)] == [mine]
    assert claim(store, "a", queues=()) == []


def test_what_waits_is_not_claimed_before_its_time(store: Store) -> None:
    id = submit(store)
    soon = 300_000
    store.write_sync(
        lambda tx: tx.execute(update(table).where(table.c.id == id).values(not_before_us=tx.now_us() + soon))
    )
    assert claim(store, "a") == []
    due = store.read_sync(lambda tx: operations.soonest(tx, ["q"]))
    assert due is not None
    assert 0 < due <= soon / 1e6
    deadline = time.monotonic() + 10
    while not (found := claim(store, "a")) and time.monotonic() < deadline:
        time.sleep(due / 10)
    assert [c.id for c in found] == [id]


def test_the_next_due_is_the_earliest_of_all_that_wait(store: Store) -> None:
    """Also when a row with an older back-off is leased for longer."""
    leased, waiting = submit(store), submit(store)
    claim(store, "a", limit=1)
    store.write_sync(
        lambda tx: tx.execute(
            update(table).where(table.c.id == waiting).values(not_before_us=tx.now_us() + 1_000_000)
        )
    )
    due = store.read_sync(lambda tx: operations.soonest(tx, ["q"]))
    assert due is not None
    assert due <= 1.0
    assert leased


def test_a_lease_that_is_over_is_taken_over_with_a_higher_token(store: Store) -> None:
    id = submit(store)
    (first,) = claim(store, "a")
    expire(store, id)
    (second,) = claim(store, "b")
    assert (second.id, second.owner) == (id, "b")
    assert second.fence > first.fence


def test_two_owners_never_get_the_same_operation(store: Store) -> None:
    ids = {submit(store) for _ in range(60)}
    got: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    start = threading.Barrier(len(got))

    def work(owner: str) -> None:
        start.wait(20)
        empty = 0
        while empty < 3:  # a row that is locked right now is skipped, not waited for
            found = [c.id for c in claim(store, owner, limit=4)]
            got[owner] += found
            empty = 0 if found else empty + 1

    threads = [threading.Thread(target=work, args=(owner,)) for owner in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    everything = [id for found in got.values() for id in found]
    assert len(everything) == len(set(everything))
    assert set(everything) == ids


def test_a_row_that_another_has_locked_is_skipped_not_waited_for(store: Store) -> None:
    if store.dialect == "sqlite":
        first, second = submit(store), submit(store)
        assert [c.id for c in claim(store, "a", limit=1)] == [first]
        assert [c.id for c in claim(store, "b", limit=1)] == [second]
        return
    locked, free = submit(store), submit(store)
    with store.engine.begin() as holder:
        holder.execute(select(table).where(table.c.id == locked).with_for_update())
        began = time.monotonic()
        assert [c.id for c in claim(store, "b")] == [free]
        assert time.monotonic() - began < 5


def test_one_statement_renews_every_lease_and_tells_who_is_cancelled(store: Store) -> None:
    ids = [submit(store) for _ in range(4)]
    other = submit(store, queue="other")
    claim(store, "a")
    claim(store, "b", queues=["other"])
    store.write_sync(lambda tx: operations.request_cancel(tx, ids[2]))
    statements: list[str] = []
    engines = [store.engine] if store._writer is None else [store._writer._engine]

    def seen(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    for engine in engines:
        event.listen(engine, "before_cursor_execute", seen)
    before = {row.id: row.lease_until_us for row in store.read_sync(lambda tx: tx.rows(select(table)))}
    time.sleep(0.002)
    assert store.write_sync(lambda tx: operations.renew(tx, "a", LEASE_US)) == [ids[2]]
    for engine in engines:
        event.remove(engine, "before_cursor_execute", seen)
    after = {row.id: row.lease_until_us for row in store.read_sync(lambda tx: tx.rows(select(table)))}
    assert len([s for s in statements if s.startswith("UPDATE")]) == 1
    assert all(after[id] > before[id] for id in ids)
    assert after[other] == before[other]


def test_what_is_given_back_can_be_claimed_at_once_or_later(store: Store) -> None:
    ids = [submit(store), submit(store)]
    first, second = claim(store, "a")
    claims = StoreClaims(store, "a", lambda: ["q"], lease_seconds=15)
    claims.give_back(first, 0)
    claims.give_back(second, 60)
    assert [c.id for c in claim(store, "b")] == ids[:1]


def test_a_lease_that_is_no_longer_mine_is_not_given_back(store: Store) -> None:
    id = submit(store)
    (old,) = claim(store, "a")
    expire(store, id)
    claim(store, "a")  # the same process, under a newer token
    StoreClaims(store, "a", lambda: ["q"], lease_seconds=15).give_back(old, 0)
    assert claim(store, "b") == []


def test_a_process_that_leaves_gives_all_its_leases_back(store: Store) -> None:
    mine = [submit(store), submit(store)]
    theirs = submit(store, queue="other")
    claim(store, "a")
    claim(store, "b", queues=["other"])
    assert store.write_sync(lambda tx: operations.release_all(tx, "a")) == 2
    assert [c.id for c in claim(store, "c", queues=["q", "other"])] == mine
    assert store.write_sync(lambda tx: operations.release_all(tx, None)) == 3
    assert {c.id for c in claim(store, "d", queues=["q", "other"])} == {*mine, theirs}


def test_a_cancel_makes_a_waiting_operation_claimable_at_once(store: Store) -> None:
    id = submit(store)
    store.write_sync(lambda tx: tx.execute(update(table).values(not_before_us=tx.now_us() + 10**9)))
    assert claim(store, "a") == []
    assert store.write_sync(lambda tx: operations.request_cancel(tx, id))
    (claimed,) = claim(store, "a")
    assert claimed.progress.cancelled
    assert not store.write_sync(lambda tx: operations.request_cancel(tx, "no such operation"))


def test_a_claim_of_a_started_operation_brings_its_journal(store: Store) -> None:
    from breezeblock.flow.journal import Entry, Step
    from breezeblock.store.journal import StoreJournal

    id = submit(store)
    (claimed,) = claim(store, "a")
    assert claimed.progress.entries == ()
    entry = Entry(1, "one", Step.INTENT, {"name": "ä"}, None, 2)
    StoreJournal(store, claimed, lambda q: True).transact(lambda j: j.record(entry))
    expire(store, id)
    (again,) = claim(store, "b")
    assert list(again.progress.entries) == [entry]


def test_unfinished_tasks_are_known_for_the_start(store: Store) -> None:
    submit(store, kind="x", tasks=["one", "gone"])
    submit(store, kind="x", tasks=["one", "gone"])
    assert store.read_sync(operations.unfinished_tasks) == [("x", ["one", "gone"])]


def test_progress_is_only_written_by_the_owner(store: Store) -> None:
    id = submit(store)
    claim(store, "a")
    store.write_sync(lambda tx: operations.report(tx, id, "b", 5, 10))
    store.write_sync(lambda tx: operations.report(tx, id, "a", 7, 10))
    row = store.read_sync(lambda tx: tx.row(select(table)))
    assert row is not None
    assert (row.progress_done, row.progress_total) == (7, 10)

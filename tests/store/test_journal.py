# SPDX-License-Identifier: Apache-2.0
"""The journal in the database: every write proves ownership first, and an operation that ends leaves only its history."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Table, insert, select, update

from breezeblock.flow.journal import Entry, JournalTx, Owed, Step
from breezeblock.model.errors import Fenced
from breezeblock.store import debts, history, keys, operations
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.store.operations import BULK
from breezeblock.store.schema import counters, journal, operation_keys
from breezeblock.store.schema import operations as table
from breezeblock.store.transaction import Tx
from tests.store.rows import Bells, operation

LEASE_US = 15_000_000


def claimed(store: Store, owner: str = "a", **values: Any) -> StoreJournal:
    store.write_sync(lambda tx: operation(tx, **values))
    return taken(store, owner)


def taken(store: Store, owner: str) -> StoreJournal:
    (found,) = store.write_sync(lambda tx: operations.claim(tx, owner, ["q"], BULK, 1, LEASE_US))
    return StoreJournal(store, found, lambda queue: True)


def change(j: JournalTx) -> None:
    """A Change beside its record."""
    j.tx.execute(insert(counters), {"name": "changed", "value": 1})
    j.record(Entry(1, "one", Step.DONE))


def changed(store: Store) -> bool:
    found = store.read_sync(lambda tx: tx.row(select(counters).where(counters.c.name == "changed")))
    return found is not None


def _all(rows: Table, tx: Tx) -> Sequence[Any]:
    return tx.rows(select(rows))


def _expire(store: Store) -> None:
    store.write_sync(lambda tx: tx.execute(update(table).values(lease_until_us=1)))


def test_an_old_owner_writes_nothing_after_a_take_over(store: Store) -> None:
    old = claimed(store)
    _expire(store)
    new = taken(store, "b")
    with pytest.raises(Fenced) as refused:
        old.transact(change)
    assert not changed(store)
    assert "newer owner" in str(refused.value)
    new.transact(change)
    assert changed(store)


def test_the_same_process_under_an_older_token_writes_nothing(store: Store) -> None:
    old = claimed(store)
    _expire(store)
    taken(store, "a")
    with pytest.raises(Fenced):
        old.transact(change)
    assert not changed(store)


def test_a_lease_that_is_over_but_not_taken_still_writes(store: Store) -> None:
    """The token decides, not the clock: nobody else has touched anything."""
    mine = claimed(store)
    _expire(store)
    mine.transact(change)
    assert changed(store)


def _finished(j: JournalTx) -> None:
    j.finish("succeeded", None)


def _handed(j: JournalTx) -> None:
    j.handoff("elsewhere", "two")


def _waiting(j: JournalTx) -> None:
    j.wait(5, "one", 2, {"code": "x"})


@pytest.mark.parametrize("end", [_finished, _handed, _waiting])
def test_whoever_let_go_writes_nothing_any_more(store: Store, end: Callable[[JournalTx], None]) -> None:
    mine = claimed(store)
    mine.transact(end)
    with pytest.raises(Fenced):
        mine.transact(change)
    assert not changed(store)


def test_a_failure_takes_record_and_change_back_together(store: Store) -> None:
    mine = claimed(store)

    def fails(j: JournalTx) -> None:
        change(j)
        raise ValueError

    with pytest.raises(ValueError):
        mine.transact(fails)
    assert not changed(store)
    assert store.read_sync(lambda tx: tx.rows(select(journal))) == []


def test_a_task_keeps_when_it_began_and_tells_when_it_ended(store: Store) -> None:
    mine = claimed(store)
    mine.transact(lambda j: j.record(Entry(1, "one", Step.INTENT, {"n": 1})))
    first = store.read_sync(lambda tx: tx.row(select(journal)))
    mine.transact(lambda j: j.record(Entry(1, "one", Step.DONE, {"n": 1}, "result")))
    second = store.read_sync(lambda tx: tx.row(select(journal)))
    assert first is not None
    assert second is not None
    assert second.started_at == first.started_at
    assert second.updated_at > first.updated_at
    assert (second.step, second.result) == ("done", '"result"')


def test_turning_forward_again_keeps_why_the_round_failed(store: Store) -> None:
    mine = claimed(store)
    first, second = {"code": "one", "message": "ä"}, {"code": "two"}
    mine.transact(lambda j: j.turn("one", first, 1))
    mine.transact(lambda j: j.turn("", first, 2))
    mine.transact(lambda j: j.turn("", second, 3))
    mine.transact(lambda j: j.turn("*", second, 3))
    _expire(store)
    progress = taken(store, "b").progress()
    assert (progress.round, progress.undo_to, progress.error) == (3, "*", second)
    assert list(progress.failures) == [first, second]


def test_a_handoff_rings_the_other_queue(store: Store, bells: Bells) -> None:
    mine = claimed(store)
    bells.rung.clear()
    mine.transact(_handed)
    assert bells.names() == {"elsewhere"}
    (found,) = store.write_sync(lambda tx: operations.claim(tx, "b", ["elsewhere"], BULK, 1, LEASE_US))
    assert found.id == mine.claimed.id


def test_what_cannot_be_undone_is_owed_to_its_own_queue_with_all_it_takes(store: Store) -> None:
    mine = claimed(store, args={"volume_id": "v"})
    owed = Owed(
        task="make", queue="backend/b", intent={"n": 1}, result=[2], results={"place": 3}, error={"code": "x"}
    )
    mine.transact(lambda j: j.owe(owed))
    (debt,) = store.read_sync(lambda tx: debts.due(tx, ["backend/b"]))
    assert (debt.kind, debt.task, debt.args) == ("volume.create", "make", {"volume_id": "v"})
    assert (debt.intent, debt.result, debt.results) == ({"n": 1}, [2], {"place": 3})
    store.write_sync(lambda tx: debts.assign(tx, debt.id, "payer"))
    assert store.read_sync(lambda tx: debts.due(tx, ["backend/b"])) == []
    store.write_sync(lambda tx: debts.strike(tx, debt.id))


def test_an_end_leaves_only_history_and_rings_who_waits(store: Store, bells: Bells) -> None:
    mine = claimed(store, keys={"volume/v": True})
    mine.transact(lambda j: j.record(Entry(1, "one", Step.DONE, None, 1)))
    mine.transact(_finished)
    for gone in (journal, operation_keys, table):
        assert store.read_sync(functools.partial(_all, gone)) == []
    found = store.read_sync(lambda tx: history.get(tx, mine.claimed.id, "p"))
    assert (found.state, [t.task for t in found.timeline]) == ("succeeded", ["one"])
    assert f"operation/{mine.claimed.id}" in bells.names()


def test_an_end_wakes_who_waited_for_its_keys(store: Store, bells: Bells) -> None:
    first = claimed(store, keys={"volume/v": True})
    waiter = store.write_sync(lambda tx: operation(tx, keys={"volume/v": True}, queue="q2"))
    assert store.read_sync(lambda tx: keys.blockers(tx, waiter)) == [("volume/v", first.claimed.id)]
    assert store.write_sync(lambda tx: operations.claim(tx, "b", ["q2"], BULK, 1, LEASE_US)) == []
    bells.rung.clear()
    first.transact(_finished)
    assert "q2" in bells.names()
    (found,) = store.write_sync(lambda tx: operations.claim(tx, "b", ["q2"], BULK, 1, LEASE_US))
    assert found.id == waiter


def test_a_cancel_is_seen_by_the_claim_and_by_a_flag(store: Store) -> None:
    mine = claimed(store)
    assert not mine.cancelled()
    mine.cancel_event.set()
    assert mine.cancelled()
    store.write_sync(lambda tx: operations.request_cancel(tx, mine.claimed.id))
    _expire(store)
    assert taken(store, "b").cancelled()

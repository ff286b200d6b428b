# SPDX-License-Identifier: Apache-2.0
"""Operations as people see them: the running and the finished in one list, walked by marker, each state told by one rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update

from breezeblock.flow.journal import Entry, Step
from breezeblock.model.errors import NotFound
from breezeblock.store import history, operations, services
from breezeblock.store.clock import utc_text
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.store.operations import BULK
from breezeblock.store.schema import operations as table
from breezeblock.store.transaction import Tx
from tests.store.rows import operation


def finished(store: Store, state: str = "succeeded", **values: Any) -> str:
    def write(tx: Tx) -> str:
        id = operation(tx, **values)
        history.finish(tx, id, state, None if state == "succeeded" else {"code": "x", "message": "why"})
        return id

    return store.write_sync(write)


def running(store: Store, **values: Any) -> str:
    return store.write_sync(lambda tx: operation(tx, **values))


def pages(store: Store, limit: int, **values: Any) -> list[str]:
    seen: list[str] = []
    marker = None
    for _ in range(50):
        found = store.read_sync(
            lambda tx, marker=marker: history.page(  # type: ignore[misc]
                tx, **({"project_id": "p"} | values), limit=limit, marker=marker
            )
        )
        if not found:
            return seen
        seen += [o.id for o in found]
        marker = found[-1].id
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_are_the_running_then_the_finished_newest_first(store: Store, limit: int) -> None:
    old = [finished(store) for _ in range(4)]
    new = [running(store) for _ in range(3)]
    finished(store, project_id="q")
    running(store, project_id="q")
    assert pages(store, limit) == new[::-1] + old[::-1]


def test_all_projects_one_resource_or_one_kind(store: Store) -> None:
    mine, theirs = running(store), finished(store, project_id="q")
    one = finished(store, kind="volume.delete", resource_id="r1")
    assert set(pages(store, 2, project_id=None)) == {mine, theirs, one}
    assert pages(store, 2, resource_id="r1") == [one]
    assert pages(store, 2, kind="volume.create") == [mine]


def test_an_unknown_marker_is_told(store: Store) -> None:
    with pytest.raises(NotFound, match="Marker"):
        store.read_sync(lambda tx: history.page(tx, project_id="p", marker="nobody"))


def _set(store: Store, id: str, **values: Any) -> None:
    store.write_sync(lambda tx: tx.execute(update(table).where(table.c.id == id).values(**values)))


@pytest.fixture
def states(store: Store) -> dict[str, str]:
    """One operation in each state."""
    found = {name: running(store) for name in ("waiting", "undoing", "running", "ready")}
    running(store, keys={"k": True}, project_id="q")
    found["blocked"] = running(store, keys={"k": True})
    _set(store, found["waiting"], not_before_us=2**60)
    _set(store, found["undoing"], undo_to="*", lease_until_us=2**60)
    _set(store, found["running"], lease_until_us=2**60)
    found["succeeded"], found["failed"] = finished(store), finished(store, "failed")
    found["cancelled"] = finished(store, "cancelled")
    return found


def test_a_state_is_told_and_filtered_by_the_same_rule(store: Store, states: dict[str, str]) -> None:
    for state, id in states.items():
        assert store.read_sync(lambda tx, id=id: history.get(tx, id, None)).state == state  # type: ignore[misc]
        assert pages(store, 1, state=state) == [id], state
    assert pages(store, 5, state="no such state") == []
    counted = store.read_sync(history.counts)
    assert counted == {"ready": 2, "running": 1, "blocked": 1, "waiting": 1, "undoing": 1}


def test_a_filtered_page_is_full_though_most_do_not_match(store: Store) -> None:
    wanted: Sequence[str] = [running(store) for _ in range(3)]
    for id in wanted:
        _set(store, id, lease_until_us=2**60)
    for _ in range(6):
        running(store)
    found = store.read_sync(lambda tx: history.page(tx, project_id="p", state="running", limit=3))
    assert [o.id for o in found] == list(wanted)[::-1]


def test_another_projects_operation_is_not_there(store: Store) -> None:
    for id in (running(store, project_id="q"), finished(store, project_id="q")):
        with pytest.raises(NotFound):
            store.read_sync(lambda tx, id=id: history.get(tx, id, "p"))  # type: ignore[misc]
        assert store.read_sync(lambda tx, id=id: history.get(tx, id, None)).project_id == "q"  # type: ignore[misc]


def test_a_timeline_tells_every_task_of_every_round_before_and_after_the_end(store: Store) -> None:
    id = running(store, pivot="two")
    (claimed,) = store.write_sync(lambda tx: operations.claim(tx, "a", ["q"], BULK, 1, 15_000_000))
    store.write_sync(
        lambda tx: services.seen(tx, "a", host="h", pid=7, roles="", queues=[], started_at=utc_text())
    )
    mine = StoreJournal(store, claimed, lambda queue: True)
    mine.transact(lambda j: j.record(Entry(1, "one", Step.UNDONE, {"i": 1}, None, 3)))
    mine.transact(lambda j: j.turn("", {"code": "full"}, 2))
    mine.transact(lambda j: j.record(Entry(2, "one", Step.DONE, {"i": 2}, {"r": 1})))
    store.write_sync(lambda tx: operations.report(tx, id, "a", 5, 10))
    before = store.read_sync(lambda tx: history.get(tx, id, "p"))
    assert (before.state, before.held_by, before.round) == ("running", "h pid 7", 2)
    assert before.progress is not None
    assert (before.progress.done, before.progress.total) == (5, 10)
    mine.transact(lambda j: j.finish("failed", {"code": "x", "message": "why"}))
    after = store.read_sync(lambda tx: history.get(tx, id, "p"))
    assert (after.state, after.held_by, after.error) == ("failed", None, {"code": "x", "message": "why"})
    assert after.failures == [{"code": "full"}]
    for told in (before, after):
        assert [(t.round, t.task, t.state, t.attempt) for t in told.timeline] == [
            (1, "one", "undone", 3),
            (2, "one", "done", 1),
        ]
        assert told.timeline[1].data == {"intent": {"i": 2}, "result": {"r": 1}}


def test_old_history_is_forgotten_a_thousand_at_a_time(store: Store) -> None:
    ids = [finished(store) for _ in range(5)]
    assert store.write_sync(lambda tx: history.purge(tx, "2000")) == 0
    assert store.write_sync(lambda tx: history.purge(tx, "2999", limit=3)) == 3
    assert pages(store, 10) == ids[:2:-1]


def test_what_still_runs_is_found_by_kind_and_resource(store: Store) -> None:
    id = running(store, kind="backend.tidy", resource_id="b")
    assert store.read_sync(lambda tx: history.running_of(tx, "backend.tidy", "b")) == id
    assert store.read_sync(lambda tx: history.find_running(tx, id)) == "backend.tidy"
    store.write_sync(lambda tx: history.finish(tx, id, "succeeded", None))
    assert store.read_sync(lambda tx: history.running_of(tx, "backend.tidy", "b")) is None
    assert store.read_sync(lambda tx: history.find_running(tx, id)) is None
    store.write_sync(lambda tx: history.finish(tx, id, "failed", None))  # already ended: nothing to do
    assert store.read_sync(lambda tx: history.get(tx, id, None)).state == "succeeded"

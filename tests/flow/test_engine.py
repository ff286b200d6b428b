# SPDX-License-Identifier: Apache-2.0
"""The engine on claims in memory: lanes have workers of their own, a stop finishes or parks, a defect is told and comes back later."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from breezeblock.bus.inprocess import InProcessBell
from breezeblock.flow.engine import DEFECT_SECONDS, OUTAGE_SECONDS, Engine
from breezeblock.flow.journal import Journal, MemoryJournal
from breezeblock.flow.task import Change, Effect, Flow, Work, registry
from breezeblock.model.errors import Unreachable, WrongStatus

DEADLINE = 10.0
INTERACTIVE, BULK = 0, 1


class Row(msgspec.Struct, frozen=True):
    id: str
    kind: str
    resource_id: str = "r"
    project_id: str = "p"
    args: dict[str, Any] = {}
    fence: int = 1


class Claims:
    """Rows in memory, by lane. What was given back is not handed out again."""

    def __init__(self) -> None:
        self.waiting: dict[int, list[Row]] = defaultdict(list)
        self.journals: dict[str, MemoryJournal] = {}
        self.given_back: list[tuple[str, float]] = []
        self.refusals = 0
        self.limits: list[tuple[int, int]] = []
        self.renewals = 0
        self.reports: list[tuple[str, int, int]] = []
        self.claim_fails = 0

    def add(self, id: str, kind: str, lane: int = BULK) -> MemoryJournal:
        journal = self.journals[id] = MemoryJournal()
        self.waiting[lane].append(Row(id, kind))
        return journal

    def claim(self, lane: int, limit: int) -> Sequence[tuple[Row, Journal]]:
        self.limits.append((lane, limit))
        if self.claim_fails:
            self.claim_fails -= 1
            raise Unreachable("the database does not answer")
        found, self.waiting[lane] = self.waiting[lane][:limit], self.waiting[lane][limit:]
        return [(row, self.journals[row.id]) for row in found]

    def renew(self) -> None:
        self.renewals += 1

    def give_back(self, operation: Any, seconds: float) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unreachable("the database does not answer")
        self.given_back.append((operation.id, seconds))

    def report(self, id: str, done: int, total: int) -> None:
        self.reports.append((id, done, total))

    def next_due(self) -> float | None:
        return None


class Latch:
    """An Effect that waits to be let go, looking at its check as a mover does."""

    def __init__(self, *, checks: bool = True) -> None:
        self.entered, self.open, self._checks = threading.Semaphore(0), threading.Event(), checks

    def do(self, work: Work, intent: Any) -> Any:
        self.entered.release()
        deadline = time.monotonic() + DEADLINE
        while not self.open.wait(0.005) and time.monotonic() < deadline:
            if self._checks:
                work.call.check()
        return None

    def reached(self, times: int = 1) -> bool:
        return all(self.entered.acquire(timeout=DEADLINE) for _ in range(times))


def ended(journal: MemoryJournal, state: str = "succeeded") -> bool:
    return until(lambda: journal.state == state)


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    return true()


Started = Callable[..., Engine]


@pytest.fixture
def claims() -> Claims:
    return Claims()


@pytest.fixture
def started(claims: Claims) -> Iterator[Started]:
    engines: list[Engine] = []

    def start(*flows: Flow, **values: Any) -> Engine:
        def give_up(reason: str) -> None:
            raise AssertionError(reason)

        given: dict[str, Any] = {
            "workers": (1, 2), "poll_seconds": 0.02, "lease_seconds": 60.0, "renew_seconds": 0.02, "give_up": give_up,
        }  # fmt: skip
        engine = Engine(claims, registry(flows), InProcessBell(), "the ports", **(given | values))
        engines.append(engine)
        engine.start()
        return engine

    yield start
    for engine in engines:
        assert engine.stop(DEADLINE) == []


def flow(kind: str, do: Callable[[Work, Any], Any], **values: Any) -> Flow:
    return Flow(kind=kind, tasks=(Effect("one", do),), **values)


def test_what_is_claimed_is_driven_to_its_end_with_the_ports(claims: Claims, started: Started) -> None:
    seen: list[Any] = []

    def look(work: Work, intent: Any) -> None:
        seen.append((work.ports, work.fence, work.call.operation, work.call.fence))

    started(flow("k", look))
    assert ended(claims.add("o1", "k"))
    assert seen == [("the ports", 1, "o1", 1)]


def test_a_lane_that_is_full_does_not_starve_the_other(claims: Claims, started: Started) -> None:
    latch = Latch()
    started(flow("slow", latch.do), flow("quick", lambda work, intent: None))
    slow = [claims.add(f"slow{n}", "slow") for n in range(6)]
    assert latch.reached(2), "both bulk workers are at it"
    for n in range(3):
        assert ended(claims.add(f"quick{n}", "quick", INTERACTIVE))
    assert len(claims.waiting[BULK]) == 4, "no more is claimed than can be worked on"
    latch.open.set()
    assert all(ended(journal) for journal in slow)


def test_connections_do_not_starve_bulk_work_either(claims: Claims, started: Started) -> None:
    latch = Latch()
    started(flow("slow", latch.do), flow("quick", lambda work, intent: None))
    held = [claims.add(f"c{n}", "slow", INTERACTIVE) for n in range(3)]
    assert latch.reached()
    assert ended(claims.add("bulk", "quick"))
    latch.open.set()
    assert all(ended(journal) for journal in held)


def test_no_claim_asks_for_more_than_its_free_workers(claims: Claims, started: Started) -> None:
    latch = Latch()
    started(flow("slow", latch.do), workers=(3, 5))
    claims.add("o1", "slow")
    assert latch.reached()
    assert until(lambda: (BULK, 4) in claims.limits)
    assert {limit for lane, limit in claims.limits if lane == INTERACTIVE} == {3}
    latch.open.set()


def test_a_defect_is_logged_and_given_back_for_later(
    claims: Claims, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(tx: Any, work: Work) -> None:
        raise ZeroDivisionError("a defect")

    started(Flow(kind="k", tasks=(Change("one", broken),)))
    with caplog.at_level(logging.ERROR):
        claims.add("o1", "k")
        assert until(lambda: claims.given_back == [("o1", DEFECT_SECONDS)])
    (record,) = [r for r in caplog.records if "met a defect" in r.message]
    assert "o1 (k)" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


def test_an_ending_that_is_refused_is_a_defect_too(claims: Claims, started: Started) -> None:
    def ended(tx: Any, work: Work) -> None:
        raise WrongStatus("the row is gone")

    started(Flow(kind="k", tasks=(Change("one", lambda tx, work: None),), ended=ended))
    claims.add("o1", "k")
    assert until(lambda: claims.given_back == [("o1", DEFECT_SECONDS)])


def test_a_kind_that_nobody_knows_is_given_back(claims: Claims, started: Started) -> None:
    started(flow("k", lambda work, intent: None))
    claims.add("o1", "of a later version")
    assert until(lambda: claims.given_back == [("o1", DEFECT_SECONDS)])


def test_a_database_that_goes_away_meanwhile_is_no_defect(
    claims: Claims, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(tx: Any, work: Work) -> None:
        raise Unreachable("the database does not answer")

    started(Flow(kind="k", tasks=(Change("one", lambda tx, work: None),), ended=gone))
    claims.add("o1", "k")
    assert until(lambda: claims.given_back == [("o1", OUTAGE_SECONDS)])
    assert not [r for r in caplog.records if "defect" in r.message]


def test_a_lease_is_given_back_as_soon_as_the_store_takes_it(claims: Claims, started: Started) -> None:
    """Else it would be renewed for ever, and nobody would work under it."""
    claims.refusals = 3
    started(flow("k", lambda work, intent: None))
    claims.add("o1", "of a later version")
    assert until(lambda: claims.given_back == [("o1", DEFECT_SECONDS)])


def test_claiming_goes_on_after_an_outage(claims: Claims, started: Started) -> None:
    claims.claim_fails = 1
    started(flow("k", lambda work, intent: None))
    assert ended(claims.add("o1", "k"))


def test_a_stop_lets_finish_what_finishes(claims: Claims, started: Started) -> None:
    latch = Latch(checks=False)
    engine = started(flow("k", latch.do))
    journal = claims.add("o1", "k")
    assert latch.reached()
    threading.Timer(0.05, latch.open.set).start()
    assert engine.stop(DEADLINE) == []
    assert journal.state == "succeeded"


def test_a_stop_parks_what_looks_and_gives_it_back_for_now(claims: Claims, started: Started) -> None:
    latch = Latch()
    engine = started(flow("k", latch.do))
    journal = claims.add("o1", "k")
    claims.add("o2", "k")
    assert latch.reached(2)
    claims.add("o3", "k")
    assert engine.stop(DEADLINE) == []
    assert journal.state == "ready"
    assert sorted(claims.given_back) == [("o1", 0.0), ("o2", 0.0)]
    assert [row.id for row in claims.waiting[BULK]] == ["o3"], "nothing new was claimed"


def test_a_stop_tells_what_it_had_to_leave_and_keeps_its_lease(claims: Claims, started: Started) -> None:
    latch = Latch(checks=False)
    engine = started(flow("k", latch.do))
    claims.add("o1", "k")
    assert latch.reached()
    assert engine.stop(0.05) == ["o1"]
    before = claims.renewals
    assert until(lambda: claims.renewals > before + 2)
    latch.open.set()
    assert engine.stop(DEADLINE) == []


def test_a_stop_does_not_spin(claims: Claims, started: Started) -> None:
    latch = Latch(checks=False)
    engine = started(flow("k", latch.do), renew_seconds=0.1)
    claims.add("o1", "k")
    assert latch.reached()
    before = claims.renewals
    assert engine.stop(0.5) == ["o1"]
    assert claims.renewals - before <= 7
    latch.open.set()


def test_a_cancel_stops_an_effect_before_the_pivot_only(claims: Claims, started: Started) -> None:
    before, after = Latch(), Latch()
    started(flow("before", before.do), flow("after", after.do, pivot="one"))
    one, two = claims.add("o1", "before"), claims.add("o2", "after")
    assert before.reached()
    assert after.reached()
    one.cancel_requested = two.cancel_requested = True
    assert ended(one, "cancelled")
    assert two.state == "ready"
    after.open.set()
    assert ended(two)


def test_a_cancel_does_not_stop_the_way_back(claims: Claims, started: Started) -> None:
    undone: list[str] = []

    def undo(work: Work, intent: Any, result: Any) -> None:
        work.call.check()  # as a driver does in every loop over bytes
        undone.append("all of it")

    latch = Latch()
    started(Flow(kind="k", tasks=(Effect("one", latch.do, undo=undo),)))
    journal = claims.add("o1", "k")
    assert latch.reached()
    journal.cancel_requested = True
    assert ended(journal, "cancelled")
    assert undone == ["all of it"]
    assert journal.debts == []


def test_progress_is_told_at_most_once_a_second_and_at_the_end(claims: Claims, started: Started) -> None:
    def copies(work: Work, intent: Any) -> None:
        for done in range(101):
            work.call.progress(done, 100)

    started(flow("k", copies))
    assert ended(claims.add("o1", "k"))
    assert claims.reports[0] == ("o1", 0, 100)
    assert claims.reports[-1] == ("o1", 100, 100)
    assert len(claims.reports) <= 4


def test_progress_that_cannot_be_told_does_not_stop_the_work(claims: Claims, started: Started) -> None:
    def refuse(id: str, done: int, total: int) -> None:
        raise Unreachable("the database does not answer")

    claims.report = refuse  # type: ignore[method-assign]
    started(flow("k", lambda work, intent: work.call.progress(1, 1)))
    assert ended(claims.add("o1", "k"))

# SPDX-License-Identifier: Apache-2.0
"""What the engine does with a lease when its work does not end: nobody works under it, so it must not be renewed for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from breezeblock.bus.inprocess import InProcessBell
from breezeblock.flow.engine import OUTAGE_SECONDS, Engine
from breezeblock.flow.journal import Journal, MemoryJournal
from breezeblock.flow.task import Effect, Flow, Work, registry
from breezeblock.model.errors import Cancelled, Fenced

DEADLINE = 10.0


class Row(msgspec.Struct, frozen=True):
    id: str = "operation-1"
    kind: str = "thing.make"
    resource_id: str = "thing-1"
    project_id: str = "p"
    args: dict[str, Any] = {}
    fence: int = 7


class OneOperation:
    """Claims that hand out one operation once, and remember what was given back."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal, self.given_back = journal, list[tuple[str, float]]()
        self.back = threading.Event()
        self._left = [(Row(), journal)]

    def claim(self, lane: int, limit: int) -> Sequence[tuple[Row, Journal]]:
        if lane != 1 or not self._left:
            return []
        return [self._left.pop()]

    def renew(self) -> None:
        return

    def give_back(self, operation: Any, seconds: float) -> None:
        self.given_back.append((operation.id, seconds))
        self.back.set()

    def report(self, id: str, done: int, total: int) -> None:
        return

    def next_due(self) -> float | None:
        return None


@pytest.fixture
def driven() -> Iterator[Callable[[Flow, MemoryJournal], OneOperation]]:
    engines: list[Engine] = []

    def drive(flow: Flow, journal: MemoryJournal) -> OneOperation:
        def fail(reason: str) -> None:
            raise AssertionError(reason)

        claims = OneOperation(journal)
        engine = Engine(claims, registry([flow]), InProcessBell(), None, give_up=fail)
        engines.append(engine)
        engine.start()
        return claims

    yield drive
    for engine in engines:
        assert engine.stop(DEADLINE) == []


def test_who_is_fenced_off_by_a_backend_gives_the_lease_back(
    driven: Callable[[Flow, MemoryJournal], OneOperation],
) -> None:
    def refused(work: Work, intent: Any) -> Any:
        raise Fenced(needed="fence token 9 or higher", had=work.fence)

    claims = driven(Flow("thing.make", (Effect("make", refused),)), MemoryJournal())
    assert claims.back.wait(DEADLINE)
    assert claims.given_back == [("operation-1", OUTAGE_SECONDS)]
    assert claims.journal.state == "ready"


def test_a_cancel_stops_an_effect_before_the_pivot_and_not_the_pivot(
    driven: Callable[[Flow, MemoryJournal], OneOperation],
) -> None:
    seen: list[str] = []
    ended = threading.Event()

    def asked(name: str) -> Callable[[Work, Any], Any]:
        def do(work: Work, intent: Any) -> Any:
            journal.cancel_requested = True
            try:
                work.call.check()
            except Cancelled:
                seen.append(f"{name} stopped")
                raise
            seen.append(f"{name} done")

        return do

    def flow(*tasks: Effect) -> Flow:
        def end(*_: Any) -> None:
            ended.set()

        return Flow("thing.make", tasks, pivot="turn", ended=end, undone=end)

    def looked(work: Work, intent: Any) -> Any:
        return None

    journal = MemoryJournal()
    claims = driven(flow(Effect("copy", asked("copy")), Effect("turn", looked)), journal)
    assert ended.wait(DEADLINE)
    ended.clear()
    journal = MemoryJournal()
    claims = driven(flow(Effect("copy", looked), Effect("turn", asked("turn"))), journal)
    assert ended.wait(DEADLINE)
    assert seen == ["copy stopped", "turn done"]
    assert claims.given_back == []


class GivenUpAndTakenAgain(OneOperation):
    """The store hands the operation out again while the thread that has just given it up has not ended."""

    def __init__(self, journals: Sequence[MemoryJournal]) -> None:
        super().__init__(journals[0])
        self._left = [(Row(fence=9), journals[1]), (Row(fence=8), journals[0])]


def test_one_that_is_claimed_again_before_its_first_run_has_ended_counts_as_running() -> None:
    second_runs, second_ends = threading.Event(), threading.Event()

    def do(work: Work, intent: Any) -> Any:
        if work.fence == 8:
            assert second_runs.wait(DEADLINE)
            raise Fenced
        second_runs.set()
        assert second_ends.wait(DEADLINE)

    def fail(reason: str) -> None:
        raise AssertionError(reason)

    claims = GivenUpAndTakenAgain([MemoryJournal(), MemoryJournal()])
    bell = InProcessBell()
    engine = Engine(claims, registry([Flow("thing.make", (Effect("make", do),))]), bell, None, give_up=fail)
    engine.start()
    try:
        assert claims.back.wait(DEADLINE)  # the first has lost it
        time.sleep(0.1)  # and its future has ended too
        assert engine.stop(0.1) == ["operation-1"]
    finally:
        second_ends.set()
        assert engine.stop(DEADLINE) == []

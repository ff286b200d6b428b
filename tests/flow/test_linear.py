# SPDX-License-Identifier: Apache-2.0
"""LinearFlow over the journal in memory: forward, back, rounds, waiting; at each place where something may fail."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.flow.journal import Entry, MemoryJournal, Step
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Change, Effect, Flow, Work, registry
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, Failed, Fenced, NoSpace, Stopping, Unreachable
from breezeblock.model.observation import Observation
from tests.flow.outside import Died, Outside, change, slow


class CountingJournal(MemoryJournal):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.commits = 0

    def transact(self, fn: Any) -> Any:
        self.commits += 1
        return super().transact(fn)


def work(**values: Any) -> Work:
    given: dict[str, Any] = {
        "operation": "op",
        "kind": "k",
        "resource_id": "r",
        "project_id": "p",
        "args": {},
    }
    return Work(**(given | values))


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def journal() -> CountingJournal:
    return CountingJournal()


def flow_of(outside: Outside, *, pivot: str | None = None, **values: Any) -> Flow:
    """change a, effect b, effect c, change d, effect e."""
    effects = {name: outside.effect(name) for name in "bce"}
    if pivot:
        outside.things.add("old")
        effects[pivot] = outside.forward(pivot)
    tasks = (change(outside, "a"), effects["b"], effects["c"], change(outside, "d"), effects["e"])
    endings = {
        name: (lambda tx, work, error=None, name=name: outside.calls.append(name))
        for name in ("ended", "undone", "stuck")
    }
    return Flow(kind="k", tasks=tasks, pivot=pivot, **(endings | values))


def drive(flow: Flow, journal: MemoryJournal, outside: Outside, *, limit: int = 60) -> Outcome:
    """Until it ends: after each wait and each death by a new LinearFlow, as a new owner would."""
    for _ in range(limit):
        try:
            outcome = LinearFlow(flow, work(), journal, probe=outside.reach).run()
        except Died:
            continue
        if outcome is not Outcome.RELEASED:
            return outcome
    raise AssertionError("it does not end")


# -- forward ------------------------------------------------------------------------------------------------------------------


def test_an_effect_costs_two_commits(outside: Outside, journal: CountingJournal) -> None:
    flow = Flow(kind="k", tasks=(change(outside, "a"), outside.effect("b"), change(outside, "c")))
    assert LinearFlow(flow, work(), journal).run() is Outcome.SUCCEEDED
    assert journal.commits == 2
    assert outside.calls == ["apply:a", "do:b", "apply:c"]


def test_a_flow_of_changes_is_one_commit(outside: Outside, journal: CountingJournal) -> None:
    flow = Flow(kind="k", tasks=tuple(change(outside, name) for name in "abc"))
    assert LinearFlow(flow, work(), journal).run() is Outcome.SUCCEEDED
    assert journal.commits == 1


def test_tasks_run_in_order_and_see_the_results_before_them(
    outside: Outside, journal: CountingJournal
) -> None:
    seen: list[dict[str, Any]] = []
    last = Change("last", lambda tx, work: seen.append(dict(work.results)))
    flow = Flow(kind="k", tasks=(change(outside, "a"), outside.effect("b"), last))
    assert LinearFlow(flow, work(fence=7), journal).run() is Outcome.SUCCEEDED
    assert seen == [{"a": {"changed": "a"}, "b": {"made": "b.op.1", "fence": 7}}]
    assert journal.state == "succeeded"


def test_the_intent_is_on_record_before_anything_is_made(outside: Outside, journal: CountingJournal) -> None:
    outside.die_at = "b:mid-before"
    flow = Flow(kind="k", tasks=(outside.effect("b"),))
    with pytest.raises(Died):
        LinearFlow(flow, work(), journal, probe=outside.reach).run()
    assert list(journal.entries.values()) == [Entry(1, "b", Step.INTENT, {"thing": "b.op.1"})]


def test_what_an_earlier_owner_made_is_found_not_made_again(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.die_at = "b:mid-after"
    flow = Flow(kind="k", tasks=(outside.effect("b"),))
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED
    assert outside.calls == ["do:b", "observe:b"]
    assert journal.entries[1, "b"].result == {"made": "b.op.1", "fence": 0}


def test_an_outside_that_cannot_be_seen_is_waited_for_without_end(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.die_at, outside.unseen["b"] = "b:mid-after", 20
    flow = Flow(kind="k", tasks=(outside.effect("b"),))
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED
    assert outside.calls.count("observe:b") == 21
    assert outside.calls.count("do:b") == 1
    assert journal.entries[1, "b"].attempt == 1, "nothing of the budget is used"
    assert set(journal.waits) == {0.001}


def test_an_observe_that_fails_in_passing_is_waited_for_too(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.die_at = "b:mid-after"
    outside.fail("observe:b", *[slow() for _ in range(20)])
    flow = Flow(kind="k", tasks=(outside.effect("b"),))
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED
    assert outside.calls.count("do:b") == 1


def test_a_transient_failure_is_retried_within_its_budget(outside: Outside, journal: CountingJournal) -> None:
    outside.fail("do:b", *[slow() for _ in range(5)])
    flow = Flow(kind="k", tasks=(outside.effect("b"),))
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED
    assert outside.calls.count("do:b") == 6
    assert journal.entries[1, "b"].attempt == 6


def test_a_budget_that_is_used_up_fails(outside: Outside, journal: CountingJournal) -> None:
    outside.fail("do:b", *[slow("still nothing") for _ in range(6)])
    flow = Flow(kind="k", tasks=(outside.effect("b"),))
    assert drive(flow, journal, outside) is Outcome.FAILED
    assert journal.error is not None
    assert (journal.error["code"], journal.error["task"]) == (Unreachable.code, "b")
    assert outside.things == set()


def test_what_a_retry_cannot_mend_fails_at_once(outside: Outside, journal: CountingJournal) -> None:
    outside.fail("do:b", NoSpace("full"))
    assert drive(Flow(kind="k", tasks=(outside.effect("b"),)), journal, outside) is Outcome.FAILED
    assert outside.calls == ["do:b", "undo:b"]
    assert journal.waits == []


def test_an_error_the_catalogue_does_not_know_is_told_whole(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.fail("do:b", ValueError("a surprise"))
    assert drive(Flow(kind="k", tasks=(outside.effect("b"),)), journal, outside) is Outcome.FAILED
    assert journal.error is not None
    assert "ValueError: a surprise" in journal.error["message"]


def test_waits_follow_the_back_off_and_the_last_delay_repeats(journal: CountingJournal) -> None:
    def do(work: Work, intent: Any) -> Any:
        raise slow()

    flow = Flow(kind="k", tasks=(Effect("b", do),))
    while LinearFlow(flow, work(), journal).run() is Outcome.RELEASED:
        pass
    assert journal.waits == [0.2, 1, 3, 10, 30]


# -- failing at each place ------------------------------------------------------------------------------------------------------

ORDER = ["a", "b", "c", "d", "e"]
EFFECTS = {"b", "c", "e"}


@pytest.mark.parametrize("place", ORDER)
def test_a_failure_takes_everything_back_last_first(
    outside: Outside, journal: CountingJournal, place: str
) -> None:
    flow = flow_of(outside)
    outside.fail(("do:" if place in EFFECTS else "apply:") + place)
    assert drive(flow, journal, outside) is Outcome.FAILED
    index = ORDER.index(place)
    # a failed Effect may have been made in part: it is undone too; a failed Change left nothing behind
    undone = [*([place] if place in EFFECTS else []), *reversed(ORDER[:index])]
    back = [("undo:" if name in EFFECTS else "revert:") + name for name in undone]
    assert [c for c in outside.calls if c.startswith(("undo:", "revert:"))] == back
    assert outside.calls[-1] == "undone"
    assert outside.things == set()
    assert journal.state == "failed"


@pytest.mark.parametrize("pivot", ["b", "c", "e"])
@pytest.mark.parametrize("place", ORDER)
def test_before_the_pivot_all_goes_back_from_it_on_nothing_does(
    outside: Outside, journal: CountingJournal, pivot: str, place: str
) -> None:
    flow = flow_of(outside, pivot=pivot)
    outside.fail(("do:" if place in EFFECTS else "apply:") + place)
    assert drive(flow, journal, outside) is Outcome.FAILED
    back = [c for c in outside.calls if c.startswith(("undo:", "revert:"))]
    if ORDER.index(place) < ORDER.index(pivot):
        assert outside.calls[-1] == "undone"
        assert outside.things == {"old"}
    else:
        assert back == []
        assert outside.calls[-1] == "stuck"
        assert journal.entries[1, place].step is Step.FAILED


@pytest.mark.parametrize("place", ["b", "c", "e"])
def test_past_the_pivot_a_transient_failure_is_retried_without_end(
    outside: Outside, journal: CountingJournal, place: str
) -> None:
    flow = flow_of(outside, pivot="b")
    outside.fail(f"do:{place}", *[slow() for _ in range(25)])
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED
    assert outside.calls[-1] == "ended"
    assert journal.entries[1, place].attempt == 26


def test_a_returned_error_fails_the_flow_and_keeps_what_was_written(
    outside: Outside, journal: CountingJournal
) -> None:
    refusing = Change("place", lambda tx, work: NoSpace("nowhere", needed=2, had=1))
    flow = Flow(kind="k", tasks=(outside.effect("b"), refusing))
    assert drive(flow, journal, outside) is Outcome.FAILED
    assert journal.error is not None
    assert (journal.error["code"], journal.error["needed"]) == (NoSpace.code, "2")
    assert outside.things == set()


# -- undoing --------------------------------------------------------------------------------------------------------------------


def test_an_undo_that_fails_in_passing_is_retried_and_the_error_stays_the_first(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.fail("do:c", NoSpace("full"))
    outside.fail("undo:b", *[slow() for _ in range(8)])
    assert drive(flow_of(outside), journal, outside) is Outcome.FAILED
    assert journal.error is not None
    assert journal.error["code"] == NoSpace.code
    assert journal.debts == []
    assert outside.things == set()


@pytest.mark.parametrize("error", [*[slow() for _ in range(1)], Failed("for good"), ValueError("odd")])
def test_an_undo_that_cannot_be_done_becomes_a_debt_and_the_rest_is_undone(
    outside: Outside, journal: CountingJournal, error: Exception
) -> None:
    outside.fail("do:c", NoSpace("full"))
    outside.fail("undo:b", *[error for _ in range(12)])
    assert drive(flow_of(outside), journal, outside) is Outcome.FAILED
    (debt,) = journal.debts
    assert (debt.task, debt.intent, debt.result) == ("b", {"thing": "b.op.1"}, {"made": "b.op.1", "fence": 0})
    assert debt.results["a"] == {"changed": "a"}
    assert debt.error["task"] == "b"
    assert outside.calls[-2:] == ["revert:a", "undone"]


def test_a_cancel_whose_undo_had_to_wait_still_ends_as_cancelled(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.die_at = "k:c:intent-after"
    outside.fail("undo:b", slow(), slow())
    flow = flow_of(outside)
    with pytest.raises(Died):
        LinearFlow(flow, work(), journal, probe=outside.reach).run()
    journal.cancel_requested = True
    assert drive(flow, journal, outside) is Outcome.CANCELLED
    assert journal.state == "cancelled"
    assert outside.things == set()


# -- cancelling -----------------------------------------------------------------------------------------------------------------


def test_a_cancel_before_the_start_makes_nothing(outside: Outside, journal: CountingJournal) -> None:
    journal.cancel_requested = True
    assert drive(flow_of(outside), journal, outside) is Outcome.CANCELLED
    assert outside.calls == ["undone"]


def test_a_cancel_seen_within_an_effect_takes_all_back(outside: Outside, journal: CountingJournal) -> None:
    outside.fail("do:c", Cancelled("cancelled on request"))
    assert drive(flow_of(outside), journal, outside) is Outcome.CANCELLED
    assert outside.things == set()


def test_a_cancel_past_the_pivot_is_too_late(outside: Outside, journal: CountingJournal) -> None:
    flow = flow_of(outside, pivot="b")
    outside.die_at = "k:b:done-before"
    with pytest.raises(Died):
        LinearFlow(flow, work(), journal, probe=outside.reach).run()
    journal.cancel_requested = True
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED
    assert outside.calls[-1] == "ended"


def test_a_cancel_between_rounds_takes_back_what_was_kept_too(
    outside: Outside, journal: CountingJournal
) -> None:
    def fail_and_cancel(work: Work, intent: Any) -> Any:
        journal.cancel_requested = True
        raise Failed("this place is bad")

    tasks = (change(outside, "a"), change(outside, "place"), Effect("make", fail_and_cancel))
    flow = Flow(kind="k", tasks=tasks, back_to="place", rounds=3, again=lambda error: True)
    assert drive(flow, journal, outside) is Outcome.CANCELLED
    assert outside.calls == ["apply:a", "apply:place", "revert:place", "revert:a"]


# -- rounds ---------------------------------------------------------------------------------------------------------------------


def rounds_of(outside: Outside, rounds: int = 3) -> Flow:
    return Flow(
        kind="k",
        tasks=(
            change(outside, "kept"),
            change(outside, "place"),
            outside.effect("make"),
            change(outside, "end"),
        ),
        back_to="place",
        rounds=rounds,
        again=lambda error: isinstance(error, Failed),
    )


def test_a_failed_round_goes_back_and_keeps_what_came_before(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.fail("do:make", NoSpace("full here"), NoSpace("full there"))
    flow = rounds_of(outside)
    driven = work()
    assert LinearFlow(flow, driven, journal).run() is Outcome.SUCCEEDED
    assert driven.round == 3
    assert [f["code"] for f in driven.failures] == [NoSpace.code] * 2
    assert outside.calls.count("apply:kept") == 1
    assert outside.calls.count("apply:place") == 3
    assert outside.calls.count("revert:place") == 2
    assert journal.entries[3, "kept"].result == {"changed": "kept"}
    assert outside.things == {"make.op.3"}


def test_rounds_end_and_then_all_is_taken_back(outside: Outside, journal: CountingJournal) -> None:
    outside.fail("do:make", *[NoSpace("full") for _ in range(9)])
    assert drive(rounds_of(outside), journal, outside) is Outcome.FAILED
    assert outside.calls.count("do:make") == 3
    assert outside.calls.count("revert:kept") == 1
    assert outside.things == set()


def test_what_no_other_place_would_mend_ends_at_once(outside: Outside, journal: CountingJournal) -> None:
    flow = rounds_of(outside)
    outside.fail("do:make", ValueError("not a Failed"))
    assert drive(flow, journal, outside) is Outcome.FAILED
    assert outside.calls.count("do:make") == 1


def test_a_place_that_is_refused_does_not_go_back_to_itself(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.fail("apply:place", Failed("nowhere"))
    assert drive(rounds_of(outside), journal, outside) is Outcome.FAILED
    assert outside.calls.count("apply:place") == 1


def test_a_new_owner_goes_on_in_the_round_it_finds(outside: Outside, journal: CountingJournal) -> None:
    outside.fail("do:make", NoSpace("full"))
    deaths = iter(["k:make:undo-before", "k:make:intent-after"])
    outside.die_at = next(deaths)

    def plan(point: str) -> bool:
        return outside.died == 1 and point == "k:make:intent-after"

    outside.plan = plan
    assert drive(rounds_of(outside), journal, outside) is Outcome.SUCCEEDED
    assert outside.died == 2
    assert outside.calls.count("apply:kept") == 1
    assert outside.things == {"make.op.2"}


# -- losing and leaving -----------------------------------------------------------------------------------------------------------


def test_an_owner_that_was_fenced_off_stops_without_a_word(
    outside: Outside, journal: CountingJournal
) -> None:
    outside.fail("do:b", Fenced("newer"))
    assert LinearFlow(flow_of(outside), work(), journal).run() is Outcome.LOST
    assert outside.calls == ["apply:a", "do:b"]
    assert journal.entries[1, "b"].step is Step.INTENT


def test_a_process_that_stops_parks_the_operation_where_it_is(
    outside: Outside, journal: CountingJournal
) -> None:
    def check() -> None:
        raise Stopping("the service is stopping")

    flow = flow_of(outside)
    driven = work(call=Context("op", check=check))
    assert LinearFlow(flow, driven, journal).run() is Outcome.PARKED
    assert outside.calls == ["apply:a"]
    assert drive(flow, journal, outside) is Outcome.SUCCEEDED


def test_another_queues_task_is_handed_over(outside: Outside) -> None:
    handed: list[tuple[str, str]] = []

    class Partial(MemoryJournal):
        def serves(self, queue: str) -> bool:
            return queue == "mine"

        def handoff(self, queue: str, task: str) -> None:
            handed.append((queue, task))

    journal = Partial()
    tasks = (
        outside.effect("b", queue=lambda work: "mine"),
        outside.effect("c", queue=lambda work: "theirs"),
    )
    flow = Flow(kind="k", tasks=tasks)
    assert LinearFlow(flow, work(), journal).run() is Outcome.RELEASED
    assert handed == [("theirs", "c")]
    assert outside.calls == ["do:b"]
    # and on the way back
    outside.fail("do:c", NoSpace("full"))
    there = MemoryJournal(list(journal.entries.values()))
    there.serves = lambda queue: queue == "theirs"  # type: ignore[method-assign]
    there.handoff = lambda queue, task: handed.append((queue, task))  # type: ignore[method-assign]
    assert LinearFlow(flow, work(), there).run() is Outcome.RELEASED
    assert handed[-1] == ("mine", "b")
    assert outside.calls[-1] == "undo:c"


# -- what a flow may be -----------------------------------------------------------------------------------------------------------


def test_a_flow_with_one_name_twice_or_an_unknown_pivot_is_refused(outside: Outside) -> None:
    with pytest.raises(ValueError, match="not unique"):
        Flow(kind="k", tasks=(change(outside, "a"), change(outside, "a")))
    for wrong in ({"pivot": "x"}, {"back_to": "x"}):
        with pytest.raises(ValueError, match="no task named x"):
            Flow(kind="k", tasks=(change(outside, "a"),), **wrong)  # type: ignore[arg-type]
    flow = Flow(kind="k", tasks=(change(outside, "a"),))
    with pytest.raises(ValueError, match="two flows"):
        registry([flow, flow])


def test_an_effect_that_says_nothing_of_itself_is_done_again() -> None:
    effect = Effect("b", lambda work, intent: None)
    assert effect.observe(work(), None) == Observation.not_done()
    assert effect.queue(work()) is None

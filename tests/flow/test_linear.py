# SPDX-License-Identifier: Apache-2.0
"""LinearFlow over the journal in memory, on its way forward: tasks in order, retries and waiting, losing and leaving."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.flow.journal import Entry, MemoryJournal, Step
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Change, Effect, Flow, Work, registry
from breezeblock.model.call import Context
from breezeblock.model.errors import Fenced, NoSpace, Stopping, Unreachable
from breezeblock.model.observation import Observation
from tests.flow.driving import CountingJournal, drive, flow_of, work
from tests.flow.outside import Died, Outside, change, slow

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

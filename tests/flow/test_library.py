# SPDX-License-Identifier: Apache-2.0
"""The task-flow library: a flow that runs alone, is taken back, interrupted and run on."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from breezeblock.flow.library import State, TaskFlow
from breezeblock.flow.task import Effect, Retry, Work
from breezeblock.model.errors import Conflict, Failed, NotFound
from tests.flow.outside import Outside, change, slow


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def flow(outside: Outside) -> TaskFlow:
    flow = TaskFlow("report")
    flow.add_many([outside.effect("a"), outside.effect("b"), outside.effect("c")])
    return flow


def made(outside: Outside) -> set[str]:
    return {thing.partition(".")[0] for thing in outside.things}


def test_tasks_are_added_and_removed_by_name(outside: Outside) -> None:
    flow = TaskFlow("report")
    assert flow.add(outside.effect("a")) == "a"
    assert flow.add_many([outside.effect("b"), change(outside, "c")]) == ["b", "c"]
    flow.remove("b")
    assert flow.tasks == ["a", "c"]
    with pytest.raises(NotFound, match="no task named b"):
        flow.remove("b")


def test_a_name_is_taken_once_and_many_come_whole_or_not_at_all(flow: TaskFlow, outside: Outside) -> None:
    with pytest.raises(Conflict, match="has a task named a"):
        flow.add_many([outside.effect("d"), outside.effect("a")])
    assert flow.tasks == ["a", "b", "c"]


def test_it_runs_its_tasks_in_order_with_arguments_and_ports() -> None:
    seen: list[Any] = []

    def do(work: Work, intent: Any) -> Any:
        seen.append((work.args, work.ports, dict(work.results)))
        return len(seen)

    flow = TaskFlow("report", ports="the outside")
    flow.add_many([Effect("a", do), Effect("b", do)])
    assert flow.run(path="/x") is State.SUCCEEDED
    assert seen == [({"path": "/x"}, "the outside", {}), ({"path": "/x"}, "the outside", {"a": 1})]
    assert flow.results == {"a": 1, "b": 2}
    assert [entry.task for entry in flow.timeline] == ["a", "b"]


def test_a_failure_takes_all_back_and_tells_why(flow: TaskFlow, outside: Outside) -> None:
    outside.fail("do:c", Failed("no room", needed=2, had=1))
    assert flow.run() is State.FAILED
    assert outside.things == set()
    assert flow.error is not None
    assert (flow.error["task"], flow.error["needed"]) == ("c", "2")
    assert outside.calls[-3:] == ["undo:c", "undo:b", "undo:a"]


def test_what_may_pass_is_waited_for(flow: TaskFlow, outside: Outside) -> None:
    outside.fail("do:b", slow(), slow())
    assert flow.run() is State.SUCCEEDED
    assert outside.calls.count("do:b") == 3


def test_an_undo_that_cannot_be_done_is_told(flow: TaskFlow, outside: Outside) -> None:
    outside.fail("do:c")
    outside.fail("undo:a", Failed("gone"))
    assert flow.run() is State.FAILED
    assert [owed.task for owed in flow.owed] == ["a"]


def test_what_succeeded_can_be_taken_back(flow: TaskFlow, outside: Outside) -> None:
    flow.run()
    assert flow.rollback() is State.ROLLED_BACK
    assert outside.things == set()
    with pytest.raises(Conflict):
        flow.rollback()


def test_past_the_pivot_nothing_is_taken_back(outside: Outside) -> None:
    flow = TaskFlow("report", pivot="b")
    flow.add_many([outside.effect("a"), outside.effect("b"), outside.effect("c")])
    flow.run()
    with pytest.raises(Conflict, match="past task b"):
        flow.rollback()
    assert made(outside) == {"a", "b", "c"}


def interrupted(flow: TaskFlow, outside: Outside) -> None:
    """Interrupt while `b` runs."""
    left: list[int] = []

    def plan(point: str) -> bool:
        if point == "b:mid-before":
            left.append(flow.interrupt())
        return False

    outside.plan = plan
    assert flow.run(n=1) is State.INTERRUPTED
    assert left == [1]
    assert made(outside) == {"a", "b"}


def test_an_interrupt_stops_after_the_task_that_runs(flow: TaskFlow, outside: Outside) -> None:
    interrupted(flow, outside)
    assert outside.calls == ["do:a", "do:b"]


def test_an_interrupted_flow_is_run_on_after_a_soft_reset(flow: TaskFlow, outside: Outside) -> None:
    interrupted(flow, outside)
    with pytest.raises(Conflict):
        flow.run()
    flow.soft_reset()
    assert flow.run() is State.SUCCEEDED
    assert outside.calls == ["do:a", "do:b", "observe:c", "do:c"], "what was done is not done again"


def test_an_interrupted_flow_can_be_taken_back(flow: TaskFlow, outside: Outside) -> None:
    interrupted(flow, outside)
    assert flow.rollback() is State.ROLLED_BACK
    assert outside.things == set()


def test_an_interrupt_ends_the_wait_for_a_retry() -> None:
    waiting = threading.Event()

    def do(work: Work, intent: Any) -> Any:
        waiting.set()
        raise slow()

    flow = TaskFlow("report")
    flow.add(Effect("a", do, retry=Retry(delays=(3600,))))
    runner = threading.Thread(target=flow.run)
    runner.start()
    assert waiting.wait(10)
    flow.interrupt()
    runner.join(10)
    assert flow.state is State.INTERRUPTED


def test_a_reset_forgets_and_runs_again(flow: TaskFlow, outside: Outside) -> None:
    flow.run()
    with pytest.raises(Conflict) as refused:
        flow.run()
    assert refused.value.remedy == "Reset it."
    flow.reset()
    assert (flow.state, flow.results, flow.timeline) == (State.PENDING, {}, [])
    flow.remove("b")
    assert flow.run() is State.SUCCEEDED
    assert outside.calls == ["do:a", "do:b", "do:c", "do:a", "do:c"]


def test_a_flow_that_has_begun_keeps_its_tasks(flow: TaskFlow, outside: Outside) -> None:
    interrupted(flow, outside)
    flow.soft_reset()
    with pytest.raises(Conflict, match="has begun"):
        flow.add(outside.effect("late"))
    with pytest.raises(Conflict, match="has begun"):
        flow.remove("a")


def test_only_an_interrupted_flow_is_soft_reset(flow: TaskFlow) -> None:
    with pytest.raises(Conflict):
        flow.soft_reset()
    with pytest.raises(Conflict):
        flow.rollback()


def test_a_defect_is_raised_and_the_flow_can_go_on(outside: Outside) -> None:
    broken = change(outside, "b")
    flow = TaskFlow("report")
    flow.add_many([outside.effect("a"), broken])
    outside.fail("apply:b", ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect"):
        flow.run()
    assert flow.state is State.INTERRUPTED
    flow.soft_reset()
    assert flow.run() is State.SUCCEEDED

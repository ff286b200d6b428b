# SPDX-License-Identifier: Apache-2.0
"""LinearFlow over the journal in memory, on its way back: failing at each place, undoing, cancelling, and rounds that begin again."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.flow.journal import Step
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import Cancelled, Failed, NoSpace
from tests.flow.driving import CountingJournal, drive, flow_of, work
from tests.flow.outside import Died, Outside, change, slow

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

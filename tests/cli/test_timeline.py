# SPDX-License-Identifier: Apache-2.0
"""The timeline as a picture."""

from __future__ import annotations

from typing import Any

from breezeblock.cli import timeline
from tests.cli.fake import operation


def entry(task: str, state: str, second: float, **more: Any) -> dict[str, Any]:
    at = f"2026-11-21T10:00:{second:09.6f}"
    return {
        "task": task,
        "round": 1,
        "state": state,
        "at": at,
        "seconds": None,
        "detail": "",
        "data": None,
        **more,
    }


def test_a_finished_task_is_one_line_with_its_time_and_bar() -> None:
    lines = timeline.draw(
        operation(
            "succeeded",
            timeline=[
                entry("place", "done", 0.5, detail="chose local#pool"),
                entry("create", "intent", 1),
                entry("create", "done", 5, seconds=4.0),
                entry("publish", "done", 5),
            ],
        ),
        lines=False,
    ).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("  + place")
    assert lines[2].endswith("chose local#pool")
    assert "4.00 s" in lines[3]
    assert lines[3].count("#") > 20


def test_what_has_not_begun_is_shown_as_planned() -> None:
    text = timeline.draw(
        operation(timeline=[entry("place", "done", 1), entry("create", "intent", 2)]), lines=False
    )
    assert "> create     running" in text
    assert "  . publish" in text


def test_undoing_and_rounds_are_told_in_their_order() -> None:
    steps = [
        entry("place", "done", 1),
        entry("create", "failed", 2, detail="disk full"),
        entry("place", "undone", 3),
        entry("place", "done", 4, round=2),
    ]
    text = timeline.draw(operation("succeeded", timeline=steps), lines=False)
    assert "x create" in text
    assert "disk full" in text
    assert "< place" in text
    assert "round 2: placed anew" in text


def test_the_pivot_is_ruled_off() -> None:
    steps = [entry("place", "done", 1), entry("create", "done", 2)]
    lines = timeline.draw(operation("succeeded", pivot="create", timeline=steps), lines=False).splitlines()
    assert "pivot" in lines[3]
    assert "create" in lines[4]


def test_a_failure_ends_with_its_reason() -> None:
    error = {
        "code": "storage.full",
        "message": "It is full",
        "needed": "2",
        "had": "1",
        "remedy": "Free space.",
    }
    text = timeline.draw(operation("failed", error=error, timeline=[]), lines=False)
    assert text.splitlines()[-1] == "  reason: It is full; needed 2; there was 1. Free space."


def test_an_operation_without_a_timeline_can_be_drawn() -> None:
    assert "volume.create" in timeline.draw(operation("ready", started_at=None, timeline=[]), lines=True)


def test_the_task_that_failed_is_shown_though_its_transaction_left_no_entry() -> None:
    error = {"code": "placement.no-backend", "message": "No pool", "remedy": "", "task": "place"}
    text = timeline.draw(operation("failed", error=error, timeline=[]), lines=False)
    assert "  x place" in text
    assert "running" not in text

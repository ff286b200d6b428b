# SPDX-License-Identifier: Apache-2.0
"""Driving a LinearFlow by hand over the journal in memory: a Work, a flow of five tasks, owners one after another until it ends."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.journal import MemoryJournal
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Flow, Work
from tests.flow.outside import Died, Outside, change


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

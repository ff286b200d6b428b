# SPDX-License-Identifier: Apache-2.0
"""A small world outside the database: things that exist or not, made and taken away by Effects; and beside it, counters that Changes move.
It can be told to fail, to be unreachable, or to let the process die at a named point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from breezeblock.flow.task import Change, Effect, Retry, Work
from breezeblock.model.errors import Error, Failed, Unreachable
from breezeblock.model.observation import Observation


class Died(BaseException):
    """The process ends here, as by kill -9: nobody may catch it and go on."""


class Outside:
    """`things` are names that exist. Failures are queues: one is used up by each call."""

    def __init__(self) -> None:
        self.things: set[str] = set()
        self.done: Counter[str] = Counter()
        self.failing: dict[str, list[Error | Exception]] = {}
        self.unseen: Counter[str] = Counter()
        self.calls: list[str] = []
        self.die_at: str | None = None
        self.died = 0
        #: called with the point's name, for a plan of deaths.
        self.plan: Callable[[str], bool] = lambda point: False

    def reach(self, point: str) -> None:
        """A probe point: die here when told to (once)."""
        if point == self.die_at:
            self.die_at = None
            self.died += 1
            raise Died(point)
        if self.plan(point):
            self.died += 1
            raise Died(point)

    def called(self, what: str) -> None:
        self.calls.append(what)
        waiting = self.failing.get(what)
        if waiting:
            raise waiting.pop(0)

    def fail(self, what: str, *errors: Error | Exception) -> None:
        """`what` is "do:a", "undo:a", "observe:a", "apply:a" or "revert:a"."""
        self.failing[what] = list(errors) or [Failed(f"{what} fails")]

    def effect(self, name: str, **values: Any) -> Effect:
        def do(work: Work, intent: Any) -> dict[str, Any]:
            self.called(f"do:{name}")
            self.reach(f"{name}:mid-before")
            self.things.add(intent["thing"])
            self.reach(f"{name}:mid-after")
            self.done[name] += 1
            return {"made": intent["thing"], "fence": work.fence}

        def observe(work: Work, intent: Any) -> Observation[Any]:
            self.called(f"observe:{name}")
            if self.unseen[name] > 0:
                self.unseen[name] -= 1
                return Observation.unknown("no answer")
            if intent["thing"] in self.things:
                return Observation.done({"made": intent["thing"], "fence": work.fence})
            return Observation.not_done()

        def undo(work: Work, intent: Any, result: Any) -> None:
            self.called(f"undo:{name}")
            self.things.discard(intent["thing"])

        given: dict[str, Any] = {
            "observe": observe,
            "undo": undo,
            "retry": Retry(delays=(0.001,), unknown=0.001),
        }
        return Effect(
            name,
            do,
            intent=lambda work: {"thing": f"{name}.{work.operation}.{work.round}"},
            **(given | values),
        )

    def forward(self, name: str) -> Effect:
        """An Effect that takes something away (a pivot): absent is done."""

        def do(work: Work, intent: Any) -> dict[str, Any]:
            self.called(f"do:{name}")
            self.things.discard(intent["thing"])
            self.done[name] += 1
            return {"gone": intent["thing"]}

        def observe(work: Work, intent: Any) -> Observation[Any]:
            self.called(f"observe:{name}")
            return (
                Observation.not_done()
                if intent["thing"] in self.things
                else Observation.done({"gone": intent["thing"]})
            )

        retry = Retry(delays=(0.001,), unknown=0.001)
        return Effect(name, do, observe=observe, intent=lambda work: {"thing": "old"}, retry=retry)


def change(outside: Outside, name: str) -> Change:
    """A Change without a database: it only tells that it was called."""

    def apply(tx: Any, work: Work) -> Any:
        outside.called(f"apply:{name}")
        return {"changed": name}

    def revert(tx: Any, work: Work, result: Any) -> None:
        outside.called(f"revert:{name}")

    return Change(name, apply, revert)


def slow(text: str = "no answer yet") -> Unreachable:
    return Unreachable(text)

# SPDX-License-Identifier: Apache-2.0
"""What a flow is made of. An Effect touches the outside (at least once, so do and undo are idempotent); a Change is database only and
commits in one transaction with its journal entry (exactly once). Both are plain functions bound to a name; the name is what the
journal knows, so it must never be reused for another meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from breezeblock.model.call import Context
from breezeblock.model.errors import Error
from breezeblock.model.observation import Observation

#: Plain data: what the journal stores.
Json = Any


@dataclass(slots=True)
class Work:
    """What a task sees: the operation's facts, the results of this round's earlier tasks, and the ports to the outside."""

    operation: str
    kind: str
    resource_id: str
    project_id: str
    args: dict[str, Json]
    fence: int = 0
    round: int = 1
    results: dict[str, Json] = field(default_factory=dict)
    #: why earlier rounds failed, oldest first.
    failures: list[dict[str, Json]] = field(default_factory=list)
    error: dict[str, Json] | None = None
    #: drivers, targets and so on, given by the composition root.
    ports: Any = None
    call: Context = field(default_factory=Context)


def _nothing(*_: Any) -> None:
    return None


def _not_seen(*_: Any) -> Observation[Json]:
    return Observation.not_done()


@dataclass(frozen=True, slots=True)
class Retry:
    """A budget and a back-off in seconds for transient errors; the last delay repeats. `unknown`: between two looks at an outside
    that cannot be seen, which costs nothing of the budget."""

    attempts: int = 6
    delays: tuple[float, ...] = (0.2, 1, 3, 10, 30)
    unknown: float = 5.0

    def delay(self, attempt: int) -> float:
        return self.delays[min(attempt - 1, len(self.delays) - 1)]


@dataclass(frozen=True, slots=True)
class Effect:
    """`intent` names what will be made before it is made; `observe` looks without touching; `do` and `undo` are idempotent.
    `queue` says who can run it (None: whoever holds the operation)."""

    name: str
    do: Callable[[Work, Json], Json]
    observe: Callable[[Work, Json], Observation[Json]] = _not_seen
    undo: Callable[[Work, Json, Json | None], None] = _nothing
    intent: Callable[[Work], Json] = _nothing
    queue: Callable[[Work], str | None] = _nothing
    retry: Retry = Retry()


@dataclass(frozen=True, slots=True)
class Change:
    """`apply(tx, work)` returns the result; `revert(tx, work, result)` takes it back. tx is the journal's transaction. An Error that is
    raised leaves nothing of the Change behind; one that is returned fails the flow too, and what was written stays."""

    name: str
    apply: Callable[[Any, Work], Json]
    revert: Callable[[Any, Work, Json], None] = _nothing
    queue: Callable[[Work], str | None] = _nothing


Task = Effect | Change


def _never(_: Error) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Flow:
    """A verb: its tasks from the first to the last. Before `pivot` a failure undoes in reverse, from it on there is only forward.

    `ended(tx, work, error)` runs in the last transaction: error None after success. `undone(tx, work, error)` after everything was taken
    back; `stuck(tx, work, error)` when a task after the pivot cannot be mended. `again` sends a failed flow back to task `back_to` for
    at most `rounds` rounds."""

    kind: str
    tasks: tuple[Task, ...]
    pivot: str | None = None
    ended: Callable[[Any, Work], None] = _nothing
    undone: Callable[[Any, Work, dict[str, Json]], None] = _nothing
    stuck: Callable[[Any, Work, dict[str, Json]], None] = _nothing
    back_to: str | None = None
    rounds: int = 1
    again: Callable[[Error], bool] = _never

    def __post_init__(self) -> None:
        names = self.names()
        if len(set(names)) != len(names):
            raise ValueError(f"flow {self.kind}: task names are not unique: {names}")
        for wanted in (self.pivot, self.back_to):
            if wanted is not None and wanted not in names:
                raise ValueError(f"flow {self.kind}: no task named {wanted}; there are {names}")

    def names(self) -> list[str]:
        return [t.name for t in self.tasks]

    def index(self, name: str) -> int:
        return self.names().index(name)


def registry(flows: Sequence[Flow]) -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for flow in flows:
        if flow.kind in found:
            raise ValueError(f"two flows are named {flow.kind}")
        found[flow.kind] = flow
    return found

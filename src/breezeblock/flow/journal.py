# SPDX-License-Identifier: Apache-2.0
"""The Journal Protocol: where a flow writes down what it is about to do and what it did, and the journal in memory. A record and the
Changes beside it are one transaction. Every write proves ownership first (Fenced otherwise)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

import msgspec

from breezeblock.flow.task import Json

T = TypeVar("T")


class Step(enum.StrEnum):
    INTENT = "intent"
    DONE = "done"
    UNDONE = "undone"
    FAILED = "failed"


class Entry(msgspec.Struct, frozen=True):
    """The newest state of one task in one round. Key: (operation, round, task)."""

    round: int
    task: str
    step: Step
    intent: Json = None
    result: Json = None
    attempt: int = 1


class Progress(msgspec.Struct, frozen=True):
    """Where an operation stands: read once when it is claimed."""

    entries: Sequence[Entry] = ()
    round: int = 1
    #: "" forward; otherwise undoing, down to and including this task ("*": all of them).
    undo_to: str = ""
    error: dict[str, Any] | None = None
    failures: Sequence[dict[str, Any]] = ()
    cancelled: bool = False


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """An undo that could not be done: all that it takes to do it later, by whoever serves the queue then (None: anybody)."""

    task: str
    queue: str | None
    intent: Json
    result: Json
    #: of the round's earlier tasks.
    results: dict[str, Json]
    error: dict[str, Any]


class JournalTx(Protocol):
    """One open transaction of the journal. `tx` is handed to Changes as it is."""

    tx: Any

    def part(self) -> AbstractContextManager[object]:
        """What raises inside leaves nothing behind (a savepoint), and the transaction goes on."""
        ...

    def record(self, entry: Entry) -> None: ...

    def turn(self, undo_to: str, error: dict[str, Any] | None, round: int) -> None:
        """Change direction: undo down to a task, or ("") forward in a new round."""
        ...

    def handoff(self, queue: str, task: str) -> None:
        """Give the operation to the servers of another queue."""
        ...

    def wait(self, seconds: float, task: str, attempt: int, error: dict[str, Any] | None) -> None:
        """Give the operation back, to be claimed again after so many seconds."""
        ...

    def owe(self, owed: Owed) -> None:
        """An undo that cannot be done now: a debt, paid when its server returns."""
        ...

    def finish(self, state: str, error: dict[str, Any] | None) -> None:
        """succeeded, failed or cancelled. Releases keys, pins and the lease."""
        ...


class Journal(Protocol):
    def progress(self) -> Progress: ...

    def transact(self, fn: Callable[[JournalTx], T]) -> T:
        """Run fn in one transaction; it may be run again after a conflict, so it must only touch what it is given."""
        ...

    def serves(self, queue: str) -> bool:
        """May this process run tasks of that queue?"""
        ...

    def cancelled(self) -> bool: ...


class MemoryJournal:
    """A journal that lives as long as its flow: makes LinearFlow a task-flow library. Satisfies Journal and JournalTx."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.tx: Any = None
        self.entries: dict[tuple[int, str], Entry] = {(e.round, e.task): e for e in entries}
        self.round, self.undo_to = 1, ""
        self.error: dict[str, Any] | None = None
        self.failures: list[dict[str, Any]] = []
        self.state = "ready"
        self.debts: list[Owed] = []
        self.waits: list[float] = []
        self.cancel_requested = False

    def progress(self) -> Progress:
        return Progress(
            list(self.entries.values()),
            self.round,
            self.undo_to,
            self.error,
            list(self.failures),
            self.cancel_requested,
        )

    def transact(self, fn: Callable[[JournalTx], T]) -> T:
        return fn(self)

    def serves(self, queue: str) -> bool:
        return True

    def cancelled(self) -> bool:
        return self.cancel_requested

    def part(self) -> AbstractContextManager[object]:
        return nullcontext()

    def record(self, entry: Entry) -> None:
        self.entries[entry.round, entry.task] = entry

    def turn(self, undo_to: str, error: dict[str, Any] | None, round: int) -> None:
        self.undo_to, self.error = undo_to, error
        if round != self.round and error is not None:
            self.failures.append(error)
        self.round = round

    def handoff(self, queue: str, task: str) -> None:
        raise AssertionError("a journal in memory serves every queue")

    def wait(self, seconds: float, task: str, attempt: int, error: dict[str, Any] | None) -> None:
        self.waits.append(seconds)

    def owe(self, owed: Owed) -> None:
        self.debts.append(owed)

    def finish(self, state: str, error: dict[str, Any] | None) -> None:
        self.state, self.error = state, error

# SPDX-License-Identifier: Apache-2.0
"""Task flows without a service: LinearFlow over a journal in memory, for any program that wants steps with undo. Owns the list of tasks,
the waiting between retries and what the flow is called by people; must never decide how a task is driven, that is LinearFlow's.

    flow = TaskFlow("report")
    flow.add_many([Effect("write", write, undo=remove), Effect("send", send)])
    outcome = flow.run(path="/tmp/report")     # a failure of `send` removes what `write` wrote

A TaskFlow is run by one thread; `interrupt` alone may be called from others (or by a task)."""

from __future__ import annotations

import enum
import threading
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from breezeblock.flow.journal import Entry, MemoryJournal, Owed, Step
from breezeblock.flow.linear import ALL, LinearFlow, Outcome
from breezeblock.flow.task import Flow, Json, Task, Work
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, Conflict, NotFound, Stopping


class State(enum.StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    #: stopped between two tasks; soft_reset lets it go on, rollback takes it back.
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    #: a task failed and everything before it was taken back, or (past the pivot) nothing could be.
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"


class TaskFlow:
    """`pivot` names the task after which nothing is taken back any more; `ports` is handed to every task."""

    def __init__(self, name: str, *, ports: Any = None, pivot: str | None = None) -> None:
        self.name, self._ports, self._pivot = name, ports, pivot
        self._tasks: list[Task] = []
        self._stop = threading.Event()
        self.state = State.PENDING
        self._begin()

    # -- what it is made of ----------------------------------------------------------------------------------------

    def add(self, task: Task) -> str:
        """Append a task; its name, by which it is removed and its result is found. Raises Conflict."""
        self._change("add a task")
        if any(other.name == task.name for other in self._tasks):
            raise Conflict(
                f"Flow {self.name} has a task named {task.name}", needed="a name of its own", had=task.name
            )
        self._tasks.append(task)
        return task.name

    def add_many(self, tasks: Iterable[Task]) -> list[str]:
        """In this order; all of them or none."""
        before = list(self._tasks)
        try:
            return [self.add(task) for task in tasks]
        except BaseException:
            self._tasks = before
            raise

    def remove(self, name: str) -> None:
        """Raises NotFound, Conflict (the flow has begun)."""
        self._change("remove a task")
        kept = [task for task in self._tasks if task.name != name]
        if len(kept) == len(self._tasks):
            raise NotFound(
                f"Flow {self.name} has no task named {name}", had=", ".join(t.name for t in self._tasks)
            )
        self._tasks = kept

    # -- what it does ----------------------------------------------------------------------------------------------

    def run(self, **args: Json) -> State:
        """From the first task, or after a soft_reset from where it was interrupted (with the arguments of the first run). A failure is
        a State with `error` telling why; only a defect is raised. Raises Conflict when it has ended (reset it first)."""
        if self.state is not State.PENDING:
            raise Conflict(
                f"Flow {self.name} is {self.state}",
                needed="a pending flow",
                had=self.state.value,
                remedy="Reset it.",
            )
        if args or not self._journal.entries:
            self._args = dict(args)
        return self._drive()

    def rollback(self) -> State:
        """Take back every task that was done, last first. Raises Conflict past the pivot, or when there is nothing to take back."""
        if self.state not in (State.INTERRUPTED, State.SUCCEEDED):
            raise Conflict(
                f"Flow {self.name} is {self.state}",
                needed="a flow that succeeded or was interrupted",
                had=self.state.value,
            )
        entered = self._journal.entries.get((self._journal.round, self._pivot or ""))
        if entered is not None and entered.step in (Step.INTENT, Step.DONE):
            raise Conflict(
                f"Flow {self.name} is past task {self._pivot} and can only go forward",
                had=f"task {self._pivot}",
            )
        self._stop.clear()
        self._journal.turn(
            ALL, Cancelled(f"flow {self.name} is rolled back on request").describe(), self._journal.round
        )
        return self._drive()

    def interrupt(self) -> int:
        """Stop after the task that runs now, or at its next check. Returns how many tasks have not begun."""
        self._stop.set()
        begun = {name for round, name in list(self._journal.entries) if round == self._journal.round}
        return sum(task.name not in begun for task in self._tasks)

    def soft_reset(self) -> None:
        """Let an interrupted flow be run on. Raises Conflict for any other."""
        if self.state is not State.INTERRUPTED:
            raise Conflict(
                f"Flow {self.name} is {self.state}", needed="an interrupted flow", had=self.state.value
            )
        self._stop.clear()
        self.state = State.PENDING

    def reset(self) -> None:
        """Forget every result; the tasks stay. Nothing outside is touched. Raises Conflict while it runs."""
        if self.state is State.RUNNING:
            raise Conflict(
                f"Flow {self.name} is running", needed="a flow that has stopped", had=self.state.value
            )
        self._begin()

    # -- what it tells ---------------------------------------------------------------------------------------------

    @property
    def tasks(self) -> Sequence[str]:
        return [task.name for task in self._tasks]

    @property
    def results(self) -> dict[str, Json]:
        """Of the tasks that are done, by name."""
        return {
            e.task: e.result for e in self.timeline if e.step is Step.DONE and e.round == self._journal.round
        }

    @property
    def timeline(self) -> Sequence[Entry]:
        """Every task that began, in that order."""
        return list(self._journal.entries.values())

    @property
    def error(self) -> dict[str, Json] | None:
        return self._journal.error

    @property
    def owed(self) -> Sequence[Owed]:
        """Undo steps that could not be done."""
        return list(self._journal.debts)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.state = State.PENDING
        self._journal, self._args, self._id = MemoryJournal(), dict[str, Json](), str(uuid.uuid4())
        self._stop.clear()

    def _change(self, wish: str) -> None:
        if self.state is not State.PENDING or self._journal.entries:
            raise Conflict(
                f"Cannot {wish}: flow {self.name} has begun",
                needed="a flow that has not begun",
                had=self.state.value,
            )

    def _drive(self) -> State:
        flow = Flow(kind=self.name, tasks=tuple(self._tasks), pivot=self._pivot)
        self.state = State.RUNNING
        try:
            while True:
                outcome = LinearFlow(flow, self._work(), self._journal).run()
                if outcome is not Outcome.RELEASED:
                    break
                if self._stop.wait(self._journal.waits[-1]):  # the back-off of a retry
                    outcome = Outcome.PARKED
                    break
        except BaseException:
            self.state = State.INTERRUPTED
            raise
        self.state = {
            Outcome.SUCCEEDED: State.SUCCEEDED,
            Outcome.FAILED: State.FAILED,
            Outcome.CANCELLED: State.ROLLED_BACK,
        }.get(outcome, State.INTERRUPTED)
        return self.state

    def _work(self) -> Work:
        def check() -> None:
            if self._stop.is_set():
                raise Stopping(f"flow {self.name} is interrupted")

        return Work(
            operation=self._id,
            kind=self.name,
            resource_id=self.name,
            project_id="",
            args=self._args,
            ports=self._ports,
            call=Context(self._id, check=check),
        )

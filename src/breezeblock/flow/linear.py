# SPDX-License-Identifier: Apache-2.0
"""The machine that drives one operation through its tasks, forward or back, over a Journal.

Forward: all Changes up to the next Effect and that Effect's intent are one transaction; then the Effect runs; then its result, the
Changes after it and the next intent are one transaction again. So an operation with one Effect costs two commits.

After a crash the next owner reads the journal. A task with an intent but no result is *observed* before anything is done: DONE takes
the value found, NOT_DONE and PARTIAL do it (again), UNKNOWN waits and never acts. Undo walks the recorded tasks in reverse; a task
whose undo cannot be finished within its budget becomes a debt, never a silent leak. From the pivot on there is no undo: transient
errors are retried without end (with back-off), anything else ends the verb in its error status through `stuck`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeVar

from breezeblock.flow.journal import Entry, Journal, JournalTx, Owed, Step
from breezeblock.flow.task import Change, Effect, Flow, Json, Task, Work
from breezeblock.model.errors import Cancelled, Error, Fenced, Stopping, Unreachable
from breezeblock.model.observation import Found, Observation

ALL = "*"


class Outcome(enum.StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: given back: it waits for a time or for another queue's server.
    RELEASED = "released"
    #: this process stops: still leased, to be given back by who drives.
    PARKED = "parked"
    #: a newer owner has it.
    LOST = "lost"


def _no_probe(_: str) -> None:
    return None


T = TypeVar("T")

#: the next Effect (None: turned, given back or ended), whether its intent is new, the outcome if there is one.
_Next = tuple[Effect | None, bool, "Outcome | None"]


class _Unknown(Exception):
    """The outside cannot be seen: neither done nor undone may be assumed."""


class LinearFlow:
    """Drives one Flow for one Work. Not thread-safe: one thread owns it while it runs."""

    def __init__(
        self, flow: Flow, work: Work, journal: Journal, *, probe: Callable[[str], None] = _no_probe
    ) -> None:
        self.flow, self.work, self.journal, self._probe = flow, work, journal, probe
        progress = journal.progress()
        self._entries = {(e.round, e.task): e for e in progress.entries}
        self._undo_to, work.round = progress.undo_to, progress.round
        # while it goes forward the journal's error is only the last one that is being retried
        work.error = progress.error if progress.undo_to else None
        work.failures = list(progress.failures)
        work.results = {
            e.task: e.result for e in progress.entries if e.round == work.round and e.step is Step.DONE
        }

    # -- driving ---------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Until it ends or is given back. A failure of the work is an Outcome; only a defect while undoing is raised."""
        try:
            while True:
                outcome = self._back() if self._undo_to else self._forward()
                if outcome is not None:
                    return outcome
        except Fenced:
            return Outcome.LOST
        except Stopping:
            return Outcome.PARKED

    @property
    def undoing(self) -> bool:
        return bool(self._undo_to)

    @property
    def cancellable(self) -> bool:
        """A cancel stops neither the way back nor what can only go forward."""
        return not self.undoing and not self._past_pivot()

    def _forward(self) -> Outcome | None:
        effect, fresh, outcome = self._write(self._advance)
        while effect is not None:
            self._probe(f"{self.flow.kind}:{effect.name}:intent-after")
            try:
                result = self._perform(effect, fresh=fresh)
            except _Unknown as unknown:
                return self._later(effect, Unreachable(str(unknown)), counts=False)
            except Exception as error:  # noqa: BLE001 - every failure of the outside ends here, typed or not
                return self._failed(effect, _typed(error))
            self._probe(f"{self.flow.kind}:{effect.name}:done-before")
            done = effect

            def record(j: JournalTx, task: Effect = done, value: Json = result) -> _Next:
                self._note(j, task, Step.DONE, result=value)
                return self._advance(j)

            effect, fresh, outcome = self._write(record)
            self._probe(f"{self.flow.kind}:{done.name}:done-after")
        return outcome

    def _advance(self, j: JournalTx) -> _Next:
        """Inside one transaction: apply Changes, stop before the next Effect with its intent recorded, or finish."""
        if self.journal.cancelled() and not self._past_pivot():
            self._turn(j, ALL, Cancelled("cancelled on request").describe())
            return None, False, None
        for task in self.flow.tasks:
            entry = self._entries.get((self.work.round, task.name))
            if entry is not None and entry.step is Step.DONE:
                continue
            queue = task.queue(self.work)
            if queue is not None and not self.journal.serves(queue):
                j.handoff(queue, task.name)
                return None, False, Outcome.RELEASED
            if isinstance(task, Effect):
                fresh = entry is None or entry.step is not Step.INTENT
                if fresh:
                    self._probe(f"{self.flow.kind}:{task.name}:intent-before")
                    self._note(j, task, Step.INTENT, intent=task.intent(self.work))
                return task, fresh, None
            self._probe(f"{self.flow.kind}:{task.name}:change-before")
            try:
                with j.part():
                    result = task.apply(j.tx, self.work)
            except (Fenced, Stopping):
                raise
            except Error as error:
                return None, False, self._turn_after(j, task, error)
            if isinstance(result, Error):
                return None, False, self._turn_after(j, task, result)
            self._note(j, task, Step.DONE, result=result)
        self.flow.ended(j.tx, self.work)
        j.finish("succeeded", None)
        return None, False, Outcome.SUCCEEDED

    def _perform(self, effect: Effect, *, fresh: bool) -> Json:
        self.work.call.check()
        intent = self._entries[self.work.round, effect.name].intent
        if not fresh:
            seen = self._observe(effect, intent)
            if seen.found is Found.DONE:
                return seen.value
        return effect.do(self.work, intent)

    def _observe(self, effect: Effect, intent: Json) -> Observation[Json]:
        """Raises _Unknown when the outside cannot be seen, whether observe says so or fails in a way that may pass."""
        try:
            seen = effect.observe(self.work, intent)
        except Error as error:
            if not error.transient:
                raise
            seen = Observation.unknown(str(error))
        if seen.found is Found.UNKNOWN:
            raise _Unknown(f"{effect.name} cannot be observed ({seen.detail}); waiting, nothing is touched")
        return seen

    # -- failing ---------------------------------------------------------------------------------------------------

    def _failed(self, task: Effect, error: Error) -> Outcome | None:
        if isinstance(error, (Fenced, Stopping)):
            raise error
        entry = self._entries[self.work.round, task.name]
        past = self._past_pivot(including=task)
        if error.transient and (past or entry.attempt < task.retry.attempts):
            return self._later(task, error)
        return self._write(lambda j: self._turn_after(j, task, error))

    def _turn_after(self, j: JournalTx, task: Task, error: Error) -> Outcome | None:
        described = error.describe() | {"task": task.name}
        past = self._past_pivot(including=task)
        if past or isinstance(task, Change):
            self._note(j, task, Step.FAILED)
        if past:
            self.work.error = described
            self.flow.stuck(j.tx, self.work, described)
            j.finish("failed", described)
            return Outcome.FAILED
        flow = self.flow
        back_to = (
            flow.back_to if flow.back_to and self.work.round < flow.rounds and flow.again(error) else None
        )
        if back_to is not None and flow.index(task.name) <= flow.index(back_to):
            back_to = None
        self._turn(j, back_to or ALL, described)
        return None

    def _later(self, task: Effect, error: Error, *, counts: bool = True) -> Outcome:
        """Give the operation back until the back-off is over. An unknown outside does not count against the budget. On the
        way back the error that is told stays the one that turned the flow: it decides how the operation ends."""
        entry = self._entries[self.work.round, task.name]
        described = (self.work.error if self.undoing else None) or error.describe() | {"task": task.name}
        attempt = entry.attempt + 1 if counts else entry.attempt
        seconds = task.retry.delay(entry.attempt) if counts else task.retry.unknown
        retried = Entry(entry.round, entry.task, entry.step, entry.intent, entry.result, attempt)

        def write(j: JournalTx) -> Outcome:
            self._put(j, retried)
            j.wait(seconds, task.name, attempt, described)
            return Outcome.RELEASED

        return self._write(write)

    # -- undoing ---------------------------------------------------------------------------------------------------

    def _back(self) -> Outcome | None:
        """Undo in reverse down to `undo_to`; then a new round, or the end."""
        stop = 0 if self._undo_to == ALL else self.flow.index(self._undo_to)
        for task in reversed(self.flow.tasks[stop:]):
            entry = self._entries.get((self.work.round, task.name))
            if entry is None or entry.step is Step.UNDONE:
                continue
            if isinstance(task, Effect):
                outcome = self._undo_effect(task, entry)
                if outcome is not None:
                    return outcome
            elif entry.step is Step.DONE:
                self._revert(task, entry)
        return self._write(self._undone)

    def _undo_effect(self, task: Effect, entry: Entry) -> Outcome | None:
        queue = task.queue(self.work)
        if queue is not None and not self.journal.serves(queue):

            def pass_on(j: JournalTx) -> Outcome:
                j.handoff(queue, task.name)
                return Outcome.RELEASED

            return self._write(pass_on)
        self._probe(f"{self.flow.kind}:{task.name}:undo-before")
        try:
            task.undo(self.work, entry.intent, entry.result)
        except (Fenced, Stopping):
            raise
        except Exception as raw:  # noqa: BLE001 - an undo that cannot be done must end as a retry or a debt, whatever it raised
            return self._undo_failed(task, entry, _typed(raw))
        self._probe(f"{self.flow.kind}:{task.name}:undo-after")
        self._write(lambda j: self._note(j, task, Step.UNDONE))
        return None

    def _undo_failed(self, task: Effect, entry: Entry, error: Error) -> Outcome | None:
        if error.transient and entry.attempt < 2 * task.retry.attempts:
            return self._later(task, error)

        owed = Owed(
            task=task.name,
            queue=task.queue(self.work),
            intent=entry.intent,
            result=entry.result,
            results=dict(self.work.results),
            error=error.describe() | {"task": task.name},
        )

        def owe(j: JournalTx) -> None:
            j.owe(owed)
            self._note(j, task, Step.UNDONE)

        self._write(owe)
        return None

    def _revert(self, task: Change, entry: Entry) -> None:
        def write(j: JournalTx) -> None:
            task.revert(j.tx, self.work, entry.result)
            self._note(j, task, Step.UNDONE)

        self._write(write)

    def _undone(self, j: JournalTx) -> Outcome | None:
        error = self.work.error or {}
        if self._undo_to != ALL:
            self.work.failures.append(error)
            self.work.results = {}
            self._turn(j, "", error, self.work.round + 1)
            kept = self.flow.index(self.flow.back_to or self.flow.tasks[0].name)
            for task in self.flow.tasks[:kept]:  # what came before stays done in the new round
                old = self._entries.get((self.work.round - 1, task.name))
                if old is not None and old.step is Step.DONE:
                    self._put(j, Entry(self.work.round, task.name, Step.DONE, old.intent, old.result))
                    self.work.results[task.name] = old.result
            return None
        self.flow.undone(j.tx, self.work, error)
        cancelled = error.get("code") == Cancelled.code
        j.finish("cancelled" if cancelled else "failed", error)
        return Outcome.CANCELLED if cancelled else Outcome.FAILED

    # -- the journal -----------------------------------------------------------------------------------------------

    def _write(self, fn: Callable[[JournalTx], T]) -> T:
        """One transaction. It may be run again after a conflict, so what this object remembers is put back first."""
        work = self.work
        entries, results, failures = dict(self._entries), dict(work.results), list(work.failures)
        undo_to, round, error = self._undo_to, work.round, work.error

        def attempt(j: JournalTx) -> T:
            self._entries, work.results, work.failures = dict(entries), dict(results), list(failures)
            self._undo_to, work.round, work.error = undo_to, round, error
            return fn(j)

        return self.journal.transact(attempt)

    def _past_pivot(self, including: Task | None = None) -> bool:
        """Has the pivot been entered? A pivot with a recorded intent counts: it may have happened."""
        if self.flow.pivot is None:
            return False
        if including is not None and self.flow.index(including.name) >= self.flow.index(self.flow.pivot):
            return True
        entry = self._entries.get((self.work.round, self.flow.pivot))
        return entry is not None and entry.step in (Step.INTENT, Step.DONE)

    def _turn(self, j: JournalTx, undo_to: str, error: dict[str, Any], round: int | None = None) -> None:
        self._undo_to = undo_to
        self.work.error = error if undo_to else None
        self.work.round = round or self.work.round
        j.turn(undo_to, error, self.work.round)

    def _note(
        self, j: JournalTx, task: Task, step: Step, *, intent: Json = None, result: Json = None
    ) -> None:
        old = self._entries.get((self.work.round, task.name))
        attempt = old.attempt if old is not None else 1
        kept = intent if step is Step.INTENT else (old.intent if old is not None else None)
        self._put(j, Entry(self.work.round, task.name, step, kept, result, attempt))
        if step is Step.DONE:
            self.work.results[task.name] = result

    def _put(self, j: JournalTx, entry: Entry) -> None:
        self._entries[entry.round, entry.task] = entry
        j.record(entry)


def _typed(error: BaseException) -> Error:
    """An error the catalogue does not know is still told whole: its type and text."""
    return error if isinstance(error, Error) else Error(f"{type(error).__name__}: {error}")

# SPDX-License-Identifier: Apache-2.0
"""The Journal of flow, in the database. Every transaction first proves that this process still owns the operation (the row is locked,
owner and fence token must be its own): a newer owner, a reset or a finished row raises Fenced and nothing is written."""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec
from sqlalchemy import bindparam, insert, select, update

from breezeblock.flow.journal import Entry, JournalTx, Owed, Progress
from breezeblock.model.errors import Fenced
from breezeblock.store import history, keys
from breezeblock.store.database import Store
from breezeblock.store.operations import Claimed
from breezeblock.store.prepared import Prepared
from breezeblock.store.schema import debts, operations
from breezeblock.store.schema import journal as journal_table
from breezeblock.store.sql import locking, upsert
from breezeblock.store.transaction import Tx

T = TypeVar("T")

_encode = msgspec.json.encode


class StoreJournal:
    """One claimed operation's journal. `serves` says which queues this process works for."""

    def __init__(self, store: Store, claimed: Claimed, serves: Callable[[str], bool]) -> None:
        self._store, self.claimed, self._serves = store, claimed, serves
        self.cancel_event = threading.Event()
        if claimed.progress.cancelled:
            self.cancel_event.set()

    def progress(self) -> Progress:
        return self.claimed.progress

    def serves(self, queue: str) -> bool:
        return self._serves(queue)

    def cancelled(self) -> bool:
        return self.cancel_event.is_set()

    def transact(self, fn: Callable[[JournalTx], T]) -> T:
        def write(tx: Tx) -> T:
            jtx = _StoreJournalTx(tx, self.claimed)
            jtx.prove()
            result = fn(jtx)
            jtx.flush()
            return result

        return self._store.write_sync(write)


class _StoreJournalTx:
    """Satisfies JournalTx: collects what happened and writes it in one go at the end of the transaction."""

    def __init__(self, tx: Tx, claimed: Claimed) -> None:
        self.tx, self._op = tx, claimed
        self._rows: dict[tuple[int, str], dict[str, Any]] = {}
        self._values: dict[str, Any] = {}
        self._finish: tuple[str, dict[str, Any] | None] | None = None

    def prove(self) -> None:
        row = self.tx.row(_PROVE, {"wanted": self._op.id, "me": self._op.owner})
        if row is None or row[0] != self._op.fence:
            raise Fenced(
                f"operation {self._op.id} has a newer owner",
                needed=f"fence token {self._op.fence}",
                had="no such lease" if row is None else f"token {row[0]}",
            )

    def part(self) -> AbstractContextManager[object]:
        return self.tx.part()

    def record(self, entry: Entry) -> None:
        self._rows[entry.round, entry.task] = {
            "operation_id": self._op.id,
            "round": entry.round,
            "task": entry.task,
            "step": entry.step.value,
            "intent": _encode(entry.intent).decode(),
            "result": _encode(entry.result).decode(),
            "attempt": entry.attempt,
            "started_at": self.tx.now,
            "updated_at": self.tx.now,
        }
        self._values["task"] = entry.task
        self._values["attempt"] = entry.attempt

    def turn(self, undo_to: str, error: dict[str, Any] | None, round: int) -> None:
        self._values |= {
            "undo_to": undo_to,
            "error": _encode(error).decode() if error else "",
            "round": round,
        }
        if not undo_to and error is not None:
            row = self.tx.row(select(operations.c.failures).where(operations.c.id == self._op.id))
            failures = msgspec.json.decode(row.failures) if row is not None else []
            self._values["failures"] = _encode([*failures, error]).decode()
            self._values["error"] = ""

    def handoff(self, queue: str, task: str) -> None:
        self._values |= {
            "queue": queue,
            "task": task,
            "lease_owner": None,
            "lease_until_us": 0,
            "not_before_us": 0,
        }
        self.tx.ring(queue)

    def wait(self, seconds: float, task: str, attempt: int, error: dict[str, Any] | None) -> None:
        self._values |= {
            "task": task,
            "attempt": attempt,
            "lease_owner": None,
            "lease_until_us": 0,
            "not_before_us": self.tx.now_us() + int(seconds * 1e6),
            "error": _encode(error).decode() if error else "",
        }

    def owe(self, owed: Owed) -> None:
        work = {
            "args": self._op.args,
            "resource_id": self._op.resource_id,
            "project_id": self._op.project_id,
            "intent": owed.intent,
            "result": owed.result,
            "results": owed.results,
        }
        self.tx.execute(
            insert(debts),
            {
                "id": str(uuid.uuid4()),
                "queue": owed.queue or self._op.queue,
                "operation_id": self._op.id,
                "kind": self._op.kind,
                "task": owed.task,
                "work": _encode(work).decode(),
                "error": _encode(owed.error).decode(),
                "attempt": 1,
                "not_before_us": 0,
                "created_at": self.tx.now,
            },
        )

    def finish(self, state: str, error: dict[str, Any] | None) -> None:
        self._finish = (state, error)

    def flush(self) -> None:
        if self._rows:
            upsert(
                self.tx,
                journal_table,
                ("operation_id", "round", "task"),
                list(self._rows.values()),
                keep=("started_at",),
            )
        if self._finish is not None:
            history.finish(self.tx, self._op.id, *self._finish)
            keys.release(self.tx, self._op.id)
            self.tx.ring(f"operation/{self._op.id}")
        elif self._values:
            self.tx.run(_setting(tuple(self._values)), {**self._values, "wanted": self._op.id})


_PROVE = locking(
    select(operations.c.fence).where(
        operations.c.id == bindparam("wanted"), operations.c.lease_owner == bindparam("me")
    )
)


@functools.cache
def _setting(names: tuple[str, ...]) -> Prepared:
    """UPDATE of these columns of one operation."""
    return Prepared(update(operations).where(operations.c.id == bindparam("wanted")), columns=names)

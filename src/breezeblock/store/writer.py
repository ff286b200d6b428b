# SPDX-License-Identifier: Apache-2.0
"""The one writer of a SQLite database: drains its queue into group commits. Each function runs in a savepoint of its own, so that one
failure takes back only its own changes; nobody is answered before the commit that holds all of them is on the disk. Whatever a function
raises is its caller's: the thread must never die of it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from breezeblock.model.errors import NoSpace, Stopping
from breezeblock.store.hop import Answer
from breezeblock.store.transaction import Tx

T = TypeVar("T")

log = logging.getLogger(__name__)

#: functions per commit: bounds how long the first of a batch waits for the last.
BATCH = 128

_Item = tuple[Callable[[Tx], Any], Answer]


class _TransactionLost(Exception):
    """SQLite has taken the whole transaction back by itself (a full disk, an I/O error): nothing of the batch is there any more."""


class GroupWriter:
    def __init__(self, engine: Engine, ring: Callable[[frozenset[str]], None]) -> None:
        self._engine, self._ring = engine, ring
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Tx], T]) -> Future[T]:
        future: Future[T] = Future()
        self.hand(fn, future)
        return future

    def hand(self, fn: Callable[[Tx], Any], answer: Answer) -> None:
        with self._lock:
            if not self._closed:
                self._queue.put((fn, answer))
                return
        answer.set_exception(Stopping("the store is closed"))

    def close(self) -> None:
        """Everything handed over before is still written."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        with self._engine.connect() as conn:
            conn.begin()  # for SQLAlchemy one transaction without end; those of the database are begun and committed below
            last = False
            while not last:
                item = self._queue.get()
                batch: list[_Item] = []
                while item is not None:
                    # a caller that has gone away (its request was cut) is not waited for, and cannot go away from now on
                    if item[1].set_running_or_notify_cancel():
                        batch.append(item)
                    if len(batch) == BATCH or self._queue.empty():
                        break
                    item = self._queue.get()
                last = item is None
                if batch:
                    self._commit(conn, batch)

    def _commit(self, conn: Connection, batch: list[_Item]) -> None:
        answers: list[tuple[Answer, Any, BaseException | None]] = []
        bells: set[str] = set()
        driver: Any = conn.connection.dbapi_connection
        try:
            driver.execute("BEGIN IMMEDIATE")
            for fn, future in batch:
                tx = Tx(conn)
                try:
                    with tx.part():
                        result = fn(tx)
                except BaseException as error:
                    if not driver.in_transaction:
                        raise _TransactionLost(str(error)) from error
                    answers.append((future, None, _typed(error)))
                else:
                    answers.append((future, result, None))
                    bells |= tx.bells
            driver.execute("COMMIT")
            self.commits += 1
        except BaseException as error:  # noqa: BLE001 - nothing of the batch is on the disk: everybody hears it
            with contextlib.suppress(Exception):  # what cannot even be taken back is not on the disk either
                driver.rollback()  # nothing to do when SQLite has done so by itself
            cause = error.__cause__ if isinstance(error, _TransactionLost) and error.__cause__ else error
            answers = [(future, None, _typed(cause)) for _, future in batch]
            bells = set()
        if bells:
            try:
                self._ring(frozenset(bells))
            except Exception:
                log.exception("a bell could not be rung")
        for future, result, failure in answers:
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(result)


def _typed(error: BaseException) -> BaseException:
    if "disk is full" in str(error):
        return NoSpace(
            "the disk of the database is full", remedy="Free space in the data folder; nothing was changed."
        )
    return error

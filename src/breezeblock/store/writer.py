# SPDX-License-Identifier: Apache-2.0
"""The one writer of a SQLite database: drains its queue into group commits. Each function runs in a savepoint of its own, so that one
failure takes back only its own changes; nobody is answered before the commit that holds all of them is on the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from breezeblock.model.errors import NoSpace, Stopping
from breezeblock.store.transaction import Tx

T = TypeVar("T")

#: functions per commit: bounds how long the first of a batch waits for the last.
BATCH = 128

_Item = tuple[Callable[[Tx], Any], "Future[Any]"]


class GroupWriter:
    def __init__(self, engine: Engine, ring: Callable[[frozenset[str]], None]) -> None:
        self._engine, self._ring = engine, ring
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closed = False
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Tx], T]) -> Future[T]:
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(Stopping("the store is closed"))
        else:
            self._queue.put((fn, future))
        return future

    def close(self) -> None:
        """Everything handed over before is still written."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        with self._engine.connect() as conn:
            while True:
                item = self._queue.get()
                if item is None:
                    return
                batch, last = [item], False
                while len(batch) < BATCH and not self._queue.empty():
                    more = self._queue.get()
                    if more is None:
                        last = True
                        break
                    batch.append(more)
                self._commit(conn, batch)
                if last:
                    return

    def _commit(self, conn: Connection, batch: list[_Item]) -> None:
        answers: list[tuple[Future[Any], Any, BaseException | None]] = []
        bells: set[str] = set()
        try:
            with conn.begin():
                for fn, future in batch:
                    tx = Tx(conn)
                    try:
                        with tx.part():
                            result = fn(tx)
                    except Exception as error:  # noqa: BLE001 - belongs to its caller, the batch goes on
                        answers.append((future, None, _typed(error)))
                    else:
                        answers.append((future, result, None))
                        bells |= tx.bells
            self.commits += 1
        except Exception as error:  # noqa: BLE001 - nothing of the batch is on the disk: everybody hears it
            answers = [(future, None, _typed(error)) for _, future in batch]
            bells = set()
        for future, result, failure in answers:
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(result)
        if bells:
            self._ring(frozenset(bells))


def _typed(error: Exception) -> Exception:
    if "disk is full" in str(error):
        return NoSpace(
            "the disk of the database is full", remedy="Free space in the data folder; nothing was changed."
        )
    return error

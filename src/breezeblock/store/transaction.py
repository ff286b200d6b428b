# SPDX-License-Identifier: Apache-2.0
"""One open transaction: what a store function gets. Collects the bells to ring after commit; must never outlive its function."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, text
from sqlalchemy.exc import DBAPIError

from breezeblock.store.clock import NOW_US, utc_text


class Tx:
    """A connection inside a transaction. `now` is this transaction's instant for people (UTC text)."""

    __slots__ = ("bells", "conn", "dialect", "now")

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.dialect = conn.dialect.name
        self.now = utc_text()
        #: queues with new work, and "operation/<id>" for waiters: rung after commit.
        self.bells: set[str] = set()

    def execute(
        self, statement: Executable, params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        return self.conn.execute(statement, params)

    def rows(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Sequence[Any]:
        return self.conn.execute(statement, params).fetchall()

    def row(self, statement: Executable, params: Mapping[str, Any] | None = None) -> Any | None:
        return self.conn.execute(statement, params).first()

    def now_us(self) -> int:
        """The database's clock, in microseconds since the epoch."""
        return int(self.conn.execute(text("SELECT " + NOW_US[self.dialect])).scalar_one())

    def ring(self, queue: str) -> None:
        self.bells.add(queue)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """A savepoint: what raises inside leaves nothing behind, bells included."""
        bells = set(self.bells)
        point = self.conn.begin_nested()
        try:
            yield
        except BaseException:
            self.bells = bells
            with contextlib.suppress(DBAPIError):  # the database has taken everything back by itself: the cause is what counts
                point.rollback()
            raise
        point.commit()


StoreFunction = Callable[[Tx], Any]

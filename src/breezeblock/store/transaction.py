# SPDX-License-Identifier: Apache-2.0
"""One open transaction: what a store function gets. Collects the bells to ring after commit; must never outlive its function.

A Prepared statement goes straight to the driver and gives tuples; any other one goes through SQLAlchemy and gives its Rows. Both fail
with SQLAlchemy's errors. Savepoints, and on SQLite the transaction itself (writer.py, database.py), are the driver's: SQLAlchemy's account
of them costs more than they do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, text
from sqlalchemy.exc import DBAPIError

from breezeblock.store.clock import NOW_US, utc_text
from breezeblock.store.prepared import Prepared
from breezeblock.store.remembered import Remembered

_NOW = Prepared(lambda dialect: text("SELECT " + NOW_US[dialect]))
_NOTHING: Mapping[str, Any] = {}


class Tx:
    """A connection inside a transaction."""

    __slots__ = ("_driver", "_now", "_parts", "bells", "conn", "dialect", "remembered")

    def __init__(self, conn: Connection, remembered: Remembered[Any] | None = None) -> None:
        self.conn = conn
        #: volumes that readers know; None inside a transaction that writes.
        self.remembered = remembered
        self.dialect = conn.dialect.name
        self._now: str | None = None
        self._parts = 0
        self._driver: Any = conn.connection.dbapi_connection
        #: queues with new work, and "operation/<id>" for waiters: rung after commit.
        self.bells: set[str] = set()

    @property
    def now(self) -> str:
        """This transaction's instant for people (UTC text)."""
        if self._now is None:
            self._now = utc_text()
        return self._now

    def execute(
        self, statement: Executable, params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        return self.conn.execute(statement, params)

    def run(self, statement: Prepared, params: Mapping[str, Any] = _NOTHING) -> int:
        """The number of rows that a writing statement met."""
        return int(self._sent(statement, params)[0].rowcount)

    def run_many(self, statement: Prepared, rows: Sequence[Mapping[str, Any]]) -> None:
        """The same statement for each of the rows."""
        made = statement.on(self.conn.dialect)
        cursor = None  # psycopg refuses even a cursor once the connection is gone
        try:
            cursor = self._driver.cursor()
            cursor.executemany(made.sql, [made.bind(row) for row in rows])
        except self.conn.dialect.loaded_dbapi.Error as error:
            raise self._told(made.sql, error, cursor) from error

    def rows(
        self, statement: Executable | Prepared, params: Mapping[str, Any] | None = None
    ) -> Sequence[Any]:
        if isinstance(statement, Prepared):
            cursor, made = self._sent(statement, params or _NOTHING)
            return made.plain(cursor.fetchall())  # type: ignore[no-any-return]
        return self.conn.execute(statement, params).fetchall()

    def row(self, statement: Executable | Prepared, params: Mapping[str, Any] | None = None) -> Any | None:
        """The first row; None: there is none."""
        if isinstance(statement, Prepared):
            cursor, made = self._sent(statement, params or _NOTHING)
            found = cursor.fetchone()
            cursor.close()
            return made.plain((found,))[0] if found is not None and made.booleans else found
        return self.conn.execute(statement, params).first()

    def now_us(self) -> int:
        """The database's clock, in microseconds since the epoch."""
        found = self.row(_NOW)
        assert found is not None
        return int(found[0])

    def ring(self, queue: str) -> None:
        self.bells.add(queue)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """A savepoint: what raises inside leaves nothing behind, bells included."""
        bells = set(self.bells)
        self._parts += 1
        name = f"part{self._parts}"  # MariaDB replaces a savepoint of the same name
        self._say(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            self.bells = bells
            # the database may have taken everything back by itself: the cause is what counts
            with contextlib.suppress(DBAPIError):
                self._say(f"ROLLBACK TO SAVEPOINT {name}")
                self._say(f"RELEASE SAVEPOINT {name}")
            raise
        else:
            self._say(f"RELEASE SAVEPOINT {name}")
        finally:
            self._parts -= 1

    def _say(self, text: str) -> None:
        cursor = None
        try:
            cursor = self._driver.cursor()
            cursor.execute(text)
        except self.conn.dialect.loaded_dbapi.Error as error:
            raise self._told(text, error, cursor) from error

    def _sent(self, statement: Prepared, params: Mapping[str, Any]) -> tuple[Any, Any]:
        made = statement.on(self.conn.dialect)
        cursor = None
        try:
            cursor = self._driver.cursor()
            cursor.execute(made.sql, made.bind(params))
        except self.conn.dialect.loaded_dbapi.Error as error:
            raise self._told(made.sql, error, cursor) from error
        return cursor, made

    def _told(self, sql: str, error: Any, cursor: Any) -> BaseException:
        """The driver's error as SQLAlchemy tells it: by kind, and whether the connection is gone (then it never goes back to the pool)."""
        dialect = self.conn.dialect
        gone = dialect.is_disconnect(error, self._driver, cursor)
        if gone:
            self.conn.invalidate(error)
        told: BaseException = DBAPIError.instance(
            sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=gone,
            dialect=dialect,
        )
        return told

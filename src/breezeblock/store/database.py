# SPDX-License-Identifier: Apache-2.0
"""The Store: whole transactions, handed over in one hop. On SQLite one writer thread drains its queue into group commits (synchronous=FULL:
one fsync for many requests, answers after it) and a few readers see the newest commit; on PostgreSQL and MariaDB each transaction has a
pooled connection, READ COMMITTED, and is run again after a conflict. A store function gets a Tx and must be able to run twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from breezeblock.model.errors import Stopping, Unreachable
from breezeblock.model.volume import Volume
from breezeblock.store.hop import Crew, Landing
from breezeblock.store.remembered import Remembered
from breezeblock.store.transaction import Tx
from breezeblock.store.writer import GroupWriter

T = TypeVar("T")

#: SQLSTATEs and MariaDB error numbers of conflicts that a second run mends.
_CONFLICTS = frozenset({"40001", "40P01", "1213", "1205", "1020"})
_TRIES = 8

#: Seconds after which the server ends a transaction whose client says nothing more. Ours never pause inside one; a process that was
#: stopped or cut off in the middle of one would otherwise keep its row locks, and nobody could take its work over.
_ABANDONED_SECONDS = 10
_ABANDONED = {
    "postgresql": (f"idle_in_transaction_session_timeout = '{_ABANDONED_SECONDS}s'",),
    "mariadb": (f"idle_transaction_timeout = {_ABANDONED_SECONDS}",),
}

#: Seconds until a server that has gone without a word (a power cut, a lost network) is told from a slow one: else the kernel would wait for
#: it for a quarter of an hour, and no request or worker could go on by a new connection. What the url says itself counts more.
_CONNECT_SECONDS, _SILENT_SECONDS = 10, 30
_TIMEOUTS: dict[str, dict[str, int]] = {
    "postgresql": {
        "connect_timeout": _CONNECT_SECONDS,
        "keepalives_idle": _CONNECT_SECONDS,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": _SILENT_SECONDS * 1000,
    },
    # longer than a lock is waited for
    "mariadb": {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": 2 * _SILENT_SECONDS,
        "write_timeout": _SILENT_SECONDS,
    },
}


class Store:
    """`bell(queues)` is called after each commit with the queues that have new work; it must not block or raise."""

    def __init__(
        self,
        url: str,
        *,
        threads: int = 6,
        bell: Callable[[frozenset[str]], None] = lambda queues: None,
    ) -> None:
        self.url, self._bell = make_url(url), bell
        self.dialect = "mysql" if self.url.get_backend_name() == "mariadb" else self.url.get_backend_name()
        self._closed = False
        self._crew = Crew(threads, "store")
        self._remembered: Remembered[Volume] = Remembered()
        self._local = threading.local()
        self._readers: list[Connection] = []
        if self.dialect == "sqlite":
            self.engine = _sqlite(str(self.url.database), writer=False)
            self._writer: GroupWriter | None = GroupWriter(
                _sqlite(str(self.url.database), writer=True), self._ring
            )
        else:
            self.engine = _server(self.url.render_as_string(hide_password=False), threads)
            self._writer = None
        self._reading = self.engine
        if self.dialect == "postgresql":
            # Under READ COMMITTED each statement sees what is committed by then, transaction or not: without one, two round trips less.
            # A pool of its own: to switch a connection to and fro costs as much as the transaction.
            self._reading = _server(self.url.render_as_string(hide_password=False), threads, "AUTOCOMMIT")

    # -- for coroutines --------------------------------------------------------------------------------------------

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """A whole read transaction: one snapshot on SQLite, READ COMMITTED elsewhere."""
        landing: Landing[T] = Landing()
        self._crew.submit(lambda: self.read_sync(fn), landing)
        return await landing.future

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """A whole write transaction; returns after it is durable."""
        landing: Landing[T] = Landing()
        if self._writer is not None:
            self._writer.hand(fn, landing)
        else:
            self._crew.submit(lambda: self.write_sync(fn), landing)
        return await landing.future

    # -- for threads -----------------------------------------------------------------------------------------------

    def read_sync(self, fn: Callable[[Tx], T]) -> T:
        if self.dialect == "sqlite":
            conn = getattr(self._local, "conn", None)
            if conn is None or conn.closed:
                if self._closed:
                    raise Stopping("the store is closed")
                conn = self._local.conn = self.engine.connect()
                conn.begin()  # for SQLAlchemy one transaction without end; those of the database are begun and ended here
                self._readers.append(conn)
            driver: Any = conn.connection.dbapi_connection
            driver.execute("BEGIN")
            try:
                return fn(Tx(conn, self._remembered))
            finally:
                driver.execute("ROLLBACK")
        return self._run(fn, self._reading, self._remembered)

    def write_sync(self, fn: Callable[[Tx], T]) -> T:
        if self._writer is not None:
            return self._writer.submit(fn).result()
        return self._run(fn, self.engine)

    def _run(self, fn: Callable[[Tx], T], engine: Engine, remembered: Remembered[Volume] | None = None) -> T:
        for attempt in range(1, _TRIES + 1):
            if self._closed:
                raise Stopping("the store is closed")
            begun = whole = False
            try:
                with engine.begin() as conn:
                    begun = True
                    tx = Tx(conn, remembered)
                    result = fn(tx)
                    whole = True
                self._ring(frozenset(tx.bells))
                return result
            except DBAPIError as error:
                # a connection that the server has ended meanwhile: nothing of this run is there unless it was lost while committing. A
                # server to which none can be made is not asked again here: the caller knows better when.
                stale = error.connection_invalidated and begun and not whole
                if not (stale or _conflict(error)) or attempt == _TRIES:
                    raise _typed(error) from error
                if not stale:
                    time.sleep(random.uniform(0.002, 0.01) * 2**attempt)  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    def _ring(self, queues: frozenset[str]) -> None:
        if queues:
            self._bell(queues)

    def close(self) -> None:
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        self._crew.close()
        for conn in self._readers:
            driver: Any = conn.connection.dbapi_connection
            if not driver.in_transaction:  # else an operation that had to be left running still reads by it
                conn.close()
        self.engine.dispose()
        self._reading.dispose()


def _conflict(error: DBAPIError) -> bool:
    original = error.orig
    state = getattr(original, "sqlstate", None) or (
        original.args[0] if original is not None and original.args else ""
    )
    return str(state) in _CONFLICTS


def _typed(error: DBAPIError) -> Exception:
    """A database that does not answer is Unreachable; everything else is a defect and stays what it is."""
    if isinstance(error, OperationalError) and (
        error.connection_invalidated or "connect" in str(error.orig).lower()
    ):
        return Unreachable(
            f"the database does not answer: {error.orig}", remedy="Start the database; no work is lost."
        )
    return error


def _server(url: str, threads: int, isolation: str = "READ COMMITTED") -> Engine:
    server = "postgresql" if make_url(url).get_backend_name() == "postgresql" else "mariadb"
    said = make_url(url).query
    engine = create_engine(
        url,
        connect_args={name: value for name, value in _TIMEOUTS[server].items() if name not in said},
        isolation_level=isolation,
        pool_size=threads + 4,
        max_overflow=16,
        pool_pre_ping=False,
        pool_recycle=1800,
    )

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for limit in _ABANDONED[server]:
                cursor.execute(f"SET SESSION {limit}")
        connection.commit()

    return engine


def _sqlite(path: str, *, writer: bool) -> Engine:
    """Transactions are said by whoever uses the connection: pysqlite's own guessing is switched off."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def opened(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16000",
            "temp_store=MEMORY",
        ):
            connection.execute("PRAGMA " + pragma)
        if not writer:
            connection.execute("PRAGMA query_only=ON")

    return engine

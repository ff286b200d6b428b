# SPDX-License-Identifier: Apache-2.0
"""What a request cannot cost less than: the very statements that it sends, by the bare driver, plus the encoding of its finished answer
alone. No HTTP, no thread, no SQLAlchemy, no building of the answer. Runs in this process, on the service's core, between its rounds."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec
import psycopg
from sqlalchemy.engine import make_url

from tests.bench import clock
from tests.bench.inside import Statement
from tests.bench.service import CORES

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Floor:
    """One connection of the bare driver. `database` is the pid of a server whose time counts too."""

    def __init__(self, url: str, database: int | None = None) -> None:
        self._database = database
        parsed = make_url(url)
        self._begin = "BEGIN"
        if parsed.get_backend_name() == "sqlite":
            self._begin = "BEGIN IMMEDIATE"  # the service beats meanwhile: a snapshot could not be written to
            self._connection: Any = sqlite3.connect(str(parsed.database), isolation_level=None, timeout=30)
            for pragma in ("synchronous=FULL", "cache_size=-16000", "foreign_keys=ON"):
                self._connection.execute("PRAGMA " + pragma)
        else:
            self._connection = psycopg.connect(
                url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True
            )

    def close(self) -> None:
        self._connection.close()

    def read(self, statements: Sequence[Statement], answer: Any, times: int) -> float:
        """Microseconds: the reading statements and the encoding of `answer` (a Struct)."""
        encode, cursor = msgspec.json.Encoder().encode, self._connection.cursor()
        queries = [(one.text, one.parameters or ()) for one in statements if not one.controls]

        def once() -> None:
            for text, parameters in queries:
                cursor.execute(text, parameters).fetchall()
            encode(answer)

        return self._timed(once, times)

    def write(self, statements: Sequence[Statement], answer: Any, times: int) -> float:
        """Microseconds: the statements of a create with new ids each time, in one transaction with its commit, and the encoding."""
        encode, cursor = msgspec.json.Encoder().encode, self._connection.cursor()
        queries = [one for one in statements if not one.controls]
        cursor.execute("SELECT id FROM volume_types")
        types = {str(row[0]) for row in cursor.fetchall()}
        turns = iter([_renamed(queries, types) for _ in range(times + 1)])

        def once() -> None:
            cursor.execute(self._begin)
            for text, parameters in next(turns):
                cursor.execute(text, parameters)
            cursor.execute("COMMIT")
            encode(answer)

        return self._timed(once, times)

    def _timed(self, once: Callable[[], None], times: int) -> float:
        with pinned():
            once()
            before = self._cpu()
            for _ in range(times):
                once()
            return (self._cpu() - before) / times * 1e6

    def _cpu(self) -> float:
        server = (
            0.0 if self._database is None else sum(clock.by_process(clock.family(self._database)).values())
        )
        return time.process_time() + server


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """On the core that the service has, as it has it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORES[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _renamed(statements: Sequence[Statement], kept: Collection[str]) -> list[tuple[str, Any]]:
    """The ids that the recorded request made, made anew; `kept` were there before."""
    fresh = {id: id for id in kept}

    def renew(text: str) -> str:
        return _UUID.sub(lambda match: fresh.setdefault(match[0], str(uuid.uuid4())), text)

    def renewed(value: Any) -> Any:
        return renew(value) if isinstance(value, str) else value

    turns = []
    for one in statements:
        parameters: Any = ()
        if isinstance(one.parameters, dict):
            parameters = {key: renewed(value) for key, value in one.parameters.items()}
        elif one.parameters:
            parameters = tuple(renewed(value) for value in one.parameters)
        turns.append((renew(one.text), parameters))
    return turns

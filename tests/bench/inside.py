# SPDX-License-Identifier: Apache-2.0
"""The API inside this process, on a given database, with everything that goes to the driver written down: the source of "the same SQL" for
the floors and of the counts for tests/budget. No engine runs here, so what is recorded belongs to the request alone."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import psycopg
from sqlalchemy import Engine, event

from breezeblock.api import app
from breezeblock.api.auth import LocalTokens
from breezeblock.api.services import Services
from breezeblock.model.identity import Caller
from breezeblock.store.database import Store

TOKEN = "measured"
_CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA)\b", re.IGNORECASE)


class Statement(msgspec.Struct, frozen=True):
    """As the driver got it. `parameters` None: they are in the text (SQLite's own trace)."""

    text: str
    parameters: Any = None

    @property
    def controls(self) -> bool:
        """Begins or ends a transaction: a round trip, but no query."""
        return _CONTROL.match(self.text) is not None


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return msgspec.json.decode(self.body)


class Inside:
    """One administrator's calls into the ASGI application. Close it: the store has threads."""

    def __init__(self, url: str, project_id: str) -> None:
        self._until_closed = contextlib.ExitStack()
        self._seen = self._until_closed.enter_context(_recording(url.partition(":")[0]))
        self.store = Store(url)
        caller = Caller(
            user_id=project_id,
            project_id=project_id,
            roles=frozenset({"admin", "member", "reader"}),
            is_admin=True,
        )
        self.api = app.build(Services(store=self.store, authenticator=LocalTokens({TOKEN: caller})))
        self.store.write_sync(lambda tx: None)  # the writer has its connection now
        self.store.read_sync(lambda tx: None)
        self._seen.clear()

    def close(self) -> None:
        self.store.close()
        self._until_closed.close()

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return asyncio.run(self._ask(method, path, body, headers or {}))

    def seen(self) -> list[Statement]:
        """What went to the database since the last look."""
        found = list(self._seen)
        self._seen.clear()
        return found

    def statements(self, method: str, path: str, body: Any = None) -> list[Statement]:
        """What one request sends to the database. Ask it once before: the first one fills caches."""
        self.seen()
        answer = self.ask(method, path, body)
        assert answer.status < 300, answer
        return self.seen()

    async def _ask(self, method: str, path: str, body: Any, more: Mapping[str, str]) -> Answer:
        raw_path, _, query = path.partition("?")
        sent: list[Mapping[str, Any]] = []
        headers = {"host": "127.0.0.1", "x-auth-token": TOKEN, "openstack-api-version": "volume 3.71"}
        if body is not None:
            headers["content-type"] = "application/json"
        headers |= more
        scope = {
            "type": "http", "method": method, "path": raw_path, "raw_path": raw_path.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "scheme": "http",
        }  # fmt: skip

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self.api(scope, receive, send)  # type: ignore[arg-type]
        head, rest = sent[0], sent[1:]
        return Answer(
            head["status"],
            {name.decode(): value.decode() for name, value in head["headers"]},
            b"".join(message["body"] for message in rest),
        )


@contextlib.contextmanager
def _recording(dialect: str) -> Iterator[list[Statement]]:
    """What SQLite connections that are opened meanwhile send; or whatever psycopg sends meanwhile."""
    seen: list[Statement] = []
    if not dialect.startswith("sqlite"):
        with _listening_to_psycopg(seen):
            yield seen
        return

    def opened(connection: Any, _record: Any) -> None:
        connection.set_trace_callback(lambda text: seen.append(Statement(text)))

    event.listen(Engine, "connect", opened)
    try:
        yield seen
    finally:
        event.remove(Engine, "connect", opened)


@contextlib.contextmanager
def _listening_to_psycopg(seen: list[Statement]) -> Iterator[None]:
    plain, many = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def execute(self: Any, query: Any, params: Any = None, **rest: Any) -> Any:
        seen.append(Statement(str(query), params))
        return plain(self, query, params, **rest)

    def executemany(self: Any, query: Any, rows: Any, **rest: Any) -> Any:
        seen.extend(Statement(str(query), row) for row in rows)
        return many(self, query, rows, **rest)

    cursor: Any = psycopg.Cursor
    cursor.execute, cursor.executemany = execute, executemany
    try:
        yield
    finally:
        cursor.execute, cursor.executemany = plain, many

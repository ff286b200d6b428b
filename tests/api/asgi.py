# SPDX-License-Identifier: Apache-2.0
"""Drives the application in this process, without a server: one request in, one answer out, raw bytes where a test wants them raw."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote, urlsplit

from breezeblock.api.app import Api

TOKEN = "the-administrators-token"


class Answer:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status, self.body = status, body
        self.headers = {name.decode(): value.decode() for name, value in headers}

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fault(self) -> tuple[str, str]:
        """(name, message) of a fault body; its code must be the status."""
        ((name, inner),) = self.json().items()
        assert inner["code"] == self.status, self.body
        return name, inner["message"]

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """`version` "3.42" or "latest" is sent with every request unless one says otherwise."""

    def __init__(
        self, api: Api, runner: asyncio.Runner, *, token: str | None = TOKEN, version: str | None = None
    ) -> None:
        self.api, self.runner, self.token, self.version = api, runner, token, version

    def at(self, version: str | None) -> Client:
        return Client(self.api, self.runner, token=self.token, version=version)

    def as_token(self, token: str | None) -> Client:
        return Client(self.api, self.runner, token=token, version=self.version)

    def get(self, path: str, **more: Any) -> Answer:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.ask("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Answer:
        return self.ask("PUT", path, body, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self.ask("DELETE", path, **more)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent = [(b"host", b"cloud.example:8776")]
        if self.token is not None:
            sent.append((b"x-auth-token", self.token.encode()))
        if self.version is not None:
            sent.append((b"openstack-api-version", f"volume {self.version}".encode()))
        if content:
            sent += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        extra = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        sent = [pair for pair in sent if pair[0] not in dict(extra)] + extra
        where = urlsplit(path)
        scope = {
            "type": "http",
            "method": method,
            "path": where.path,
            "raw_path": quote(where.path, safe="/%:@!$&'()*+,;=~#").encode(),
            "query_string": where.query.encode(),
            "scheme": "http",
            "headers": sent,
        }
        return self.runner.run(self._exchange(scope, content))

    async def _exchange(self, scope: dict[str, Any], content: bytes) -> Answer:
        seen: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            seen.append(message)

        await self.api(scope, receive, send)
        start, body = seen
        return Answer(start["status"], start["headers"], body["body"])

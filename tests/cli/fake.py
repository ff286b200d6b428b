# SPDX-License-Identifier: Apache-2.0
"""A service for edge cases of the command alone: answers what a test scripted, remembers what it was asked. Knows nothing of volumes;
everything that can be shown on the real service is shown there."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any


class Reply(NamedTuple):
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = {}


Script = Callable[[Asked], Reply | None]


class Fake:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        self.asked: list[Asked] = []
        self._scripts: dict[tuple[str, str], list[Reply | Script]] = {}

    def on(self, method: str, path: str, *replies: Reply | Script) -> None:
        """Answers in this order; the last one for ever."""
        self._scripts[method, path] = list(replies)

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        script = self._scripts.get((asked.method, asked.path))
        if not script:
            return Reply(404, {"itemNotFound": {"code": 404, "message": f"nothing at {asked.path}"}})
        first = script.pop(0) if len(script) > 1 else script[0]
        reply = first if isinstance(first, Reply) else first(asked)
        return (
            reply
            if reply is not None
            else Reply(500, {"computeFault": {"code": 500, "message": "unscripted"}})
        )


@contextmanager
def serving() -> Iterator[Fake]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _do(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            headers = {key.lower(): value for key, value in self.headers.items()}
            asked = Asked(
                self.command, url.path, parse_qs(url.query), headers, json.loads(raw) if raw else None
            )
            reply = fake.answer(asked)
            body = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for key, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _do

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(
                sys.exception(), ConnectionError
            ):  # some commands are killed in the middle: no news
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake = Fake(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def operation(state: str = "running", **more: Any) -> dict[str, Any]:
    """An operation's document."""
    plain: dict[str, Any] = {
        "id": "0f0f0f0f-0000-4000-8000-000000000001",
        "kind": "volume.create",
        "resource_type": "volume",
        "resource_id": "aaaaaaaa-0000-4000-8000-000000000001",
        "project_id": "0" * 32,
        "request_id": "req-1",
        "state": state,
        "queue": "backend/local",
        "lane": "bulk",
        "task": "create",
        "tasks": ["place", "create", "publish"],
        "pivot": None,
        "attempt": 1,
        "round": 1,
        "progress": None,
        "error": None,
        "created_at": "2026-11-21T10:00:00.000000",
        "started_at": "2026-11-21T10:00:00.100000",
        "finished_at": None if state == "running" else "2026-11-21T10:00:02.100000",
        "held_by": "host-1",
        "waits_for": None,
    }
    return {**plain, **more}


def volume(**more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": "aaaaaaaa-0000-4000-8000-000000000001",
        "name": "data",
        "status": "available",
        "size": 2,
        "volume_type": "__DEFAULT__",
        "bootable": "false",
        "attachments": [],
        "metadata": {},
        "description": None,
        "snapshot_id": None,
        "source_volid": None,
        "created_at": "2026-11-21T10:00:00.000000",
        "updated_at": None,
    }
    return {**plain, **more}

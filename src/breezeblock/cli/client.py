# SPDX-License-Identifier: Apache-2.0
"""The service over HTTP: one connection, JSON in and out, faults turned into reasons. On the standard library alone (its import costs
a tenth of a client library's, see docs/CLI.md). Must never retry a request that may have been carried out."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from breezeblock.cli.credentials import Credentials
from breezeblock.cli.exits import REFUSED, UNREACHABLE, Ended
from breezeblock.cli.listener import require_owner

#: The newest version of the contract: what every documented --json shape is written in.
MICROVERSION = "3.71"
#: A connection idle for longer is opened anew: servers close theirs after some seconds, and a POST sent into
#: a closing connection cannot be sent twice.
IDLE_SECONDS = 1.0


class Answer(NamedTuple):
    status: int
    body: Any
    #: The operation behind a 202; empty when the request made none.
    operation: str
    request_id: str


class Unreachable(Ended):
    """Nobody answers at the endpoint. Its own type, so that a wait can outlast a restart of the service."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(
            UNREACHABLE,
            f"the service at {endpoint} cannot be reached ({why})",
            code="unreachable",
            remedy="Start it with 'breezeblock serve', or name another with --endpoint.",
        )


class Client:
    def __init__(self, credentials: Credentials, *, timeout: float = 90.0) -> None:
        self.credentials, self.timeout = credentials, timeout
        url = urlsplit(
            credentials.endpoint if "//" in credentials.endpoint else f"//{credentials.endpoint}",
            scheme="http",
        )
        if url.scheme not in ("http", "https") or not url.hostname:
            raise Ended(
                UNREACHABLE,
                f"'{credentials.endpoint}' is not an endpoint",
                code="unreachable",
                needed="a URL such as http://127.0.0.1:8776",
                had=repr(credentials.endpoint),
            )
        self._scheme, self._host, self._port = url.scheme, url.hostname, url.port
        # An endpoint may be given with its version, as a catalogue does, or without.
        base = url.path.rstrip("/")
        self._root = (
            base
            if "/v3" in base
            else base + "/v3" + (f"/{credentials.project}" if credentials.project else "")
        )
        self._connection: http.client.HTTPConnection | None = None
        self._used = 0.0

    # Verbs ---------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query).body

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self.call("POST", path, body=body)

    def put(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self.call("PUT", path, body=body)

    def delete(self, path: str, **query: Any) -> Answer:
        return self.call("DELETE", path, query=query)

    def act(self, noun: str, ident: str, action: str, body: Any = None) -> Answer:
        """An action of the contract: POST /<noun>/<id>/action {"<action>": {...}}."""
        return self.post(f"/{noun}/{ident}/action", {action: {} if body is None else body})

    def pages(
        self, path: str, collection: str, *, limit: int | None = None, **query: Any
    ) -> Iterator[Mapping[str, Any]]:
        """Every item of a list, page after page; at most `limit`."""
        left, marker = limit, None
        while left is None or left > 0:
            page = self.get(path, **query, limit=1000 if left is None else min(left, 1000), marker=marker)
            items = page[collection]
            yield from items
            links: Any = next((value for key, value in page.items() if key.endswith("_links")), [])
            if not items or not links:
                return
            left = None if left is None else left - len(items)
            following = next(
                (dict(parse_qsl(urlsplit(link["href"]).query)) for link in links if link["rel"] == "next"), {}
            )
            marker = following.get("marker")
            if marker is None:
                return

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        target = self._root + quote(path, safe="/%")
        asked = [
            (k, str(v).lower() if isinstance(v, bool) else v)
            for k, v in (query or {}).items()
            if v is not None
        ]
        if asked:
            target += "?" + urlencode(asked)
        status, headers, raw = self._exchange(
            method, target, None if body is None else json.dumps(body).encode(), timeout
        )
        document = self._decode(raw, headers)
        if status >= 400:
            raise self._fault(status, document, raw, f"{method} {path}")
        return Answer(
            status,
            document,
            headers.get("x-breezeblock-operation", ""),
            headers.get("x-openstack-request-id", ""),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # The exchange --------------------------------------------------------------------------------

    def _exchange(
        self, method: str, target: str, body: bytes | None, timeout: float | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {
            "X-Auth-Token": self.credentials.token,
            "OpenStack-API-Version": f"volume {MICROVERSION}",
            "Accept": "application/json",
            "User-Agent": "breezeblock-cli",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        for attempt in (1, 2):
            fresh = self._connect(self.timeout if timeout is None else timeout)
            assert self._connection is not None
            try:
                if fresh:
                    self._open(self._connection)
                self._connection.request(method, target, body, headers)
                answer = self._connection.getresponse()
                raw = answer.read()
            except (OSError, http.client.HTTPException) as why:
                self.close()
                # A kept connection that turned out to be closed: only a read may be asked again.
                if attempt == 1 and not fresh and method == "GET" and not isinstance(why, TimeoutError):
                    continue
                raise Unreachable(self.credentials.endpoint, _short(why)) from None
            except BaseException:
                self.close()  # Ctrl-C in the middle of an answer: what is given back now needs a connection that works
                raise
            self._used = time.monotonic()
            if answer.will_close:
                self.close()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, raw
        raise AssertionError("unreachable")

    def _open(self, connection: http.client.HTTPConnection) -> None:
        """Who listens is looked at once we are connected and before the token is sent, each time: during a wait the service may have
        ended, and its port been taken."""
        connection.connect()
        owners = self.credentials.owners
        if owners and not require_owner(self.credentials.endpoint, owners):
            raise ConnectionResetError("who listened there has ended")

    def _connect(self, timeout: float) -> bool:
        """True when the connection is a new one."""
        if self._connection is not None and time.monotonic() - self._used < IDLE_SECONDS:
            if self._connection.sock is not None:
                self._connection.sock.settimeout(timeout)
            return False
        self.close()
        if self._scheme == "https":
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return True

    def _decode(self, raw: bytes, headers: Mapping[str, str]) -> Any:
        if not raw:
            return None
        if "json" not in headers.get("content-type", ""):
            return raw.decode("utf-8", "replace")
        try:
            return json.loads(raw)
        except ValueError:
            raise Unreachable(
                self.credentials.endpoint, "its answer is not JSON: is this the Block Storage API?"
            ) from None

    def _fault(self, status: int, document: Any, raw: bytes, what: str) -> Ended:
        fault: Mapping[str, Any] = {}
        if isinstance(document, Mapping):
            fault = next((v for v in document.values() if isinstance(v, Mapping)), {})
        more = fault.get("error") or {}
        message = str(
            more.get("message") or fault.get("message") or raw[:200].decode("utf-8", "replace") or what
        )
        remedy = str(more.get("remedy") or "")
        if status == 401:
            message = "the service does not accept the token"
            remedy = f"The token came from: {self.credentials.source}. The service writes its own into admin.json when it starts."
        elif status >= 500 and not remedy:
            remedy = "Look at the service's log."
        return Ended(
            REFUSED,
            message,
            code=str(more.get("code") or f"http.{status}"),
            needed=more.get("needed"),
            had=more.get("had"),
            remedy=remedy,
        )


def segment(text: str) -> str:
    """One segment of a path, whatever characters it has: a metadata key may hold slashes."""
    return quote(text, safe="")


def _short(why: Exception) -> str:
    if isinstance(why, TimeoutError | socket.timeout):
        return "no answer in time"
    return getattr(why, "strerror", None) or str(why) or type(why).__name__

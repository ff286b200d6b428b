# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: from a request to an answer, in one order that every operation shares.

    request id -> token (401) -> microversion (400, 406) -> route (404, 405) -> project in the path (400) -> body size (413)
    -> media type (415) -> action (400, 404) -> policy (403) -> body (400) -> one hop into the store -> answer

Whatever goes wrong on the way is an Error of the catalogue or a defect, and becomes a fault body in one place. Must never know what an
operation does."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from breezeblock.api import fault, microversion, v3, versions
from breezeblock.api.body import parse
from breezeblock.api.call import OPERATION_HEADER, Call
from breezeblock.api.fault import MediaType
from breezeblock.api.route import Hop, Route
from breezeblock.api.router import Leaf, Router
from breezeblock.api.services import Services
from breezeblock.api.wire import (
    ClientGone,
    Header,
    PlainText,
    Receive,
    RequestHead,
    Scope,
    Send,
    read_body,
    send_answer,
)
from breezeblock.model.errors import BadRequest, Forbidden, Malformed, NotFound, Stopping

_encode = msgspec.json.Encoder().encode
#: Verbs that begin work: refused while the process stops.
_BEGIN_WORK = frozenset({"POST", "PUT", "DELETE"})
_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")
EXTENSION = "breezeblock"
#: Nothing that a path names is longer, and no column that it is compared with.
LONGEST_SEGMENT = 255


def build(services: Services) -> Api:
    """The application for one process."""
    return Api(services, v3.routes())


class Api:
    """One process' API over some routes."""

    def __init__(self, services: Services, routes: tuple[Route, ...]) -> None:
        self._services, self.routes = services, routes
        self._router = Router(routes, services.facts.project_id_regex)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:  # a websocket: nobody speaks it here
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"req-{uuid.uuid4()}"
        seen = _Seen(request_id)
        try:
            status, body, headers, text = await self._handle(scope, receive, seen)
        except ClientGone:
            return
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            failed = fault.of(error, request_id, extended=seen.extension)
            status, body, headers, text = failed.status, failed.body, failed.headers, False
        tag = request_id.encode()
        await send_answer(
            send,
            status,
            body,
            (
                microversion.HEADER[seen.version],
                microversion.VARY,
                (b"x-compute-request-id", tag),
                (b"x-openstack-request-id", tag),
                *headers,
            ),
            text=text,
        )

    async def _handle(
        self, scope: Scope, receive: Receive, seen: _Seen
    ) -> tuple[int, bytes, tuple[Header, ...], bool]:
        method: str = scope["method"]
        segments = _segments(scope)
        head = RequestHead(scope["headers"])
        if segments[0] != "v3":
            return self._outside(method, segments, _origin(self._services, scope, head))
        caller = await self._services.authenticator.authenticate(head.token, head.service_token)
        seen.version = microversion.negotiate(head.version)
        if segments == ["v3"] or segments == ["v3", ""]:
            _only_get(method)
            return 200, versions.document(_origin(self._services, scope, head)), (), False
        project, leaf, values = self._router.find(method, segments[1:])
        seen.extension = EXTENSION in segments[1:3]
        if project is not None and project != caller.project_id:
            raise BadRequest(
                "Malformed request url",
                needed=f"the token's project {caller.project_id} in the path, or no project",
                had=project,
                remedy="Leave the project out of the path.",
            )
        call = Call(
            self._services,
            msgspec.structs.replace(caller, request_id=seen.request_id),
            seen.version,
            request_id=seen.request_id,
            path="/".join(segments[2:] if project is not None else segments[1:]),
            query_string=scope.get("query_string", b""),
            scheme=scope.get("scheme", "http"),
            host=_host(head.host),
            project_in_path=project is not None,
            if_match=head.if_match,
        )
        if method in _BEGIN_WORK and not self._services.accepting():
            raise Stopping
        found, document = await self._choose(leaf, call, receive, head)
        self._check_policy(found, call, values)
        arguments = values if found.body is None else (*values, _read(found, document, call))
        answer = await self._run(found, call, arguments)
        return self._finish(found, call, answer)

    async def _choose(self, leaf: Leaf, call: Call, receive: Receive, head: RequestHead) -> tuple[Route, Any]:
        """The route and, when it has a body, the parsed document."""
        if leaf.actions:
            document = parse(await self._body(receive, head))
            if not isinstance(document, dict) or len(document) != 1:
                raise BadRequest("The body must hold exactly one action", needed="an object with one key")
            return leaf.choose(call.version, next(iter(document))), document
        route = leaf.choose(call.version)
        if route.body is None:
            return route, None
        return route, parse(await self._body(receive, head))

    async def _body(self, receive: Receive, head: RequestHead) -> bytes:
        raw = await read_body(receive, head, self._services.facts.max_body)
        if raw and not head.is_json():
            raise MediaType(needed="application/json", had=(head.content_type or "")[:100])
        return raw

    def _check_policy(self, route: Route, call: Call, values: tuple[str, ...]) -> None:
        project = None if route.about is None else values[route.values.index(route.about)]
        try:
            for rule in route.rules:
                call.require(rule, project)
        except Forbidden:
            if route.hides:
                raise NotFound from None
            raise

    async def _run(self, route: Route, call: Call, values: tuple[Any, ...]) -> Any:
        handler, store = route.handler, self._services.store
        if route.hop is Hop.READ:
            return await store.read(lambda tx: handler(call, tx, *values))
        if route.hop is Hop.WRITE:
            return await store.write(lambda tx: handler(call, tx, *values))
        if route.hop is Hop.PLAIN:
            return handler(call, *values)
        return await handler(call, *values)

    def _finish(self, route: Route, call: Call, answer: Any) -> tuple[int, bytes, tuple[Header, ...], bool]:
        headers = call.headers
        if call.operation_id is not None:
            headers = {**headers, OPERATION_HEADER: call.operation_id.encode()}
        text = isinstance(answer, PlainText)
        if text:
            body = answer.text.encode()
        else:
            body = b"" if answer is None else answer if isinstance(answer, bytes) else _encode(answer)
        return call.accepted or route.status, body, tuple(headers.items()), text

    def _outside(
        self, method: str, segments: list[str], origin: str
    ) -> tuple[int, bytes, tuple[Header, ...], bool]:
        """What is there without a token: the version document and the health check."""
        if segments == [""]:
            _only_get(method)
            return 300, versions.document(origin), (), False
        if segments == ["healthcheck"]:
            _only_get(method)
            return 200, b"OK", (), True
        raise NotFound("The resource could not be found", remedy="The API is under /v3/.")


class _Seen:
    """What the fault needs to know of a request that failed on the way."""

    __slots__ = ("extension", "request_id", "version")

    def __init__(self, request_id: str) -> None:
        self.request_id, self.version, self.extension = request_id, microversion.MIN, False


def _read(route: Route, document: Any, call: Call) -> Any:
    assert route.body is not None
    value, call.beside = route.body.read(document, call.version)
    return value


def _segments(scope: Scope) -> list[str]:
    """The path's segments, decoded one by one, so that an escaped slash stays inside its segment."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        if b"%" in raw:
            segments = [unquote_to_bytes(part).decode() for part in raw[1:].split(b"/")]
        else:
            segments = raw[1:].decode().split("/")
    except UnicodeDecodeError:
        raise NotFound("The resource could not be found") from None
    if any(len(segment) > LONGEST_SEGMENT or "\x00" in segment for segment in segments):
        raise NotFound("The resource could not be found")
    return segments


def _host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise Malformed("The Host header is not a host name")
    return host


def _origin(services: Services, scope: Scope, head: RequestHead) -> str:
    return services.facts.public_endpoint.rstrip("/") or f"{scope.get('scheme', 'http')}://{_host(head.host)}"


def _only_get(method: str) -> None:
    if method not in ("GET", "HEAD"):
        raise fault.MethodNotAllowed(allow="GET")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return

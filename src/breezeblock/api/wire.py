# SPDX-License-Identifier: Apache-2.0
"""Bytes in and out over ASGI: reading a bounded body, finding the few headers that count, sending an answer in two messages. Raw ASGI
and not a framework's request and response objects: measured on the same routes, those cost more than the rest of the edge together
(docs/API.md). Must never know a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from breezeblock.model.errors import Malformed, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON_TYPES = frozenset({"application/json", "application/vnd.openstack.volume+json"})
_JSON: Header = (b"content-type", b"application/json")
_TEXT: Header = (b"content-type", b"text/plain; charset=utf-8")


#: Seconds for a whole body.
BODY_SECONDS = 30.0


class PlainText(msgspec.Struct, frozen=True):
    """An answer that is bare text, not a JSON document."""

    text: str


class ClientGone(Exception):
    """The client closed the connection before its body was whole; there is nobody to answer."""


class RequestHead:
    """The headers that count, found in one pass."""

    __slots__ = (
        "content_type",
        "forwarded_proto",
        "host",
        "if_match",
        "length",
        "service_token",
        "token",
        "version",
    )

    def __init__(self, headers: Iterable[Header]) -> None:
        self.token: str | None = None
        self.service_token: str | None = None
        self.version: str | None = None
        self.content_type: str | None = None
        self.length = 0
        self.host = "localhost"
        self.if_match: str | None = None
        for name, value in headers:
            match name:
                case b"host":
                    self.host = value.decode("latin-1")
                case b"x-auth-token":
                    self.token = value.decode("latin-1")
                case b"x-service-token":
                    self.service_token = value.decode("latin-1")
                case b"openstack-api-version":
                    text = value.decode("latin-1")
                    self.version = text if self.version is None else f"{self.version},{text}"
                case b"content-type":
                    self.content_type = value.decode("latin-1")
                case b"content-length":
                    # The parser has checked its worth; thousands of leading zeros are more than int() reads.
                    self.length = int(value.lstrip(b"0") or b"0") if value.isdigit() else 0
                case b"if-match":
                    self.if_match = value.decode("latin-1")
                case _:
                    pass

    def is_json(self) -> bool:
        """No Content-Type counts as JSON: there is nothing else that a body could be."""
        return self.content_type is None or self.content_type.partition(";")[0].strip().lower() in JSON_TYPES


async def read_body(receive: Receive, head: RequestHead, limit: int) -> bytes:
    """The whole body. Refuses (413) as soon as it is known to be longer than `limit` bytes."""
    if head.length > limit:
        raise _too_large(limit, head.length)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _collected(receive, limit)
    except TimeoutError:
        raise Malformed(
            "The request body did not come in time", needed=f"all of it within {BODY_SECONDS:g} s"
        ) from None


async def _collected(receive: Receive, limit: int) -> bytes:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit, size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int, size: int) -> TooLarge:
    return TooLarge(
        "The request body is too large", needed=f"at most {limit} bytes", had=f"{size} bytes or more"
    )


async def send_answer(
    send: Send, status: int, body: bytes, headers: Iterable[Header], *, text: bool = False
) -> None:
    """An answer without a body has no Content-Type; a 204 has no Content-Length either."""
    all_headers = list(headers)
    if body:
        all_headers.append(_TEXT if text else _JSON)
    if status != 204:
        all_headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})

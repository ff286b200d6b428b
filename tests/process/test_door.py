# SPDX-License-Identifier: Apache-2.0
"""Clients that have shown no token can neither fill the memory nor hold connections for ever; those that behave notice nothing."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from breezeblock.process import door

ANSWER_SECONDS = 0.3


async def slow_app(scope: Any, receive: Any, send: Any) -> None:
    """Answers 200 after a while, without having read the body."""
    await asyncio.sleep(ANSWER_SECONDS)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]},
    )
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(slow_app, http=door.Door, lifespan="off", log_level="critical")
    config.load()
    state = uvicorn.Server(config).server_state
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: door.Door(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for connection in list(state.connections):
            connection.transport.abort()
        server.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end or the first whole answer."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        return head + await asyncio.wait_for(reader.readexactly(2), 10)
    except (asyncio.IncompleteReadError, ConnectionResetError) as ended:
        return getattr(ended, "partial", b"")


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 200_000, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000])
def test_a_head_that_does_not_end_is_refused(head: bytes) -> None:
    async def ask() -> bytes:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            try:
                return await asyncio.wait_for(reader.read(200), 10)
            except ConnectionResetError:
                return b"400"  # what we sent had not been read: the kernel may cut the answer off
            finally:
                writer.close()

    assert b"400" in asyncio.run(ask())


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_who_says_nothing_whole_is_let_go(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.2)

    async def ask() -> tuple[bytes, float]:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = time.monotonic()
            writer.write(begun)
            try:
                said = await asyncio.wait_for(reader.read(200), 10)
            except ConnectionResetError:
                said = b""
            writer.close()
            return said, time.monotonic() - began

    said, took = asyncio.run(ask())
    assert said == b""
    assert 0.1 < took < 5


def test_who_waits_for_an_answer_and_asks_again_on_the_connection_is_not_disturbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", ANSWER_SECONDS / 3)

    async def ask() -> list[bytes]:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            said = []
            for _ in range(3):
                body = b"b" * (door.HEAD_BYTES + 10_000)
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                said.append(await answer(reader))
            writer.close()
            return said

    said = asyncio.run(ask())
    assert all(b" 200 " in one for one in said), said


def test_connections_past_the_bound_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "CONNECTIONS", 3)

    async def ask() -> tuple[bytes, bytes]:
        async with serving() as port:
            pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                refused = await asyncio.wait_for(reader.read(10), 10)
            except ConnectionResetError:
                refused = b""
            pairs[0][1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            served = await answer(pairs[0][0])
            for _, one in [*pairs, (reader, writer)]:
                one.close()
            return refused, served

    refused, served = asyncio.run(ask())
    assert refused == b""
    assert b" 200 " in served


def test_a_low_soft_limit_of_descriptors_is_raised() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        door.enough_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

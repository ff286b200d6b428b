# SPDX-License-Identifier: Apache-2.0
"""The load generator: a process of its own on the other core, so that what it costs is not counted. Keep-alive connections that send the
next request when the answer to the last one is whole; it reads of an answer only the status and the length. Job in on stdin, result
out on stdout, both JSON."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from functools import partial
from itertools import cycle
from typing import cast

import msgspec
import uvloop


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`requests` are whole HTTP/1.1 requests, sent in turn, again from the first when `once` is False. Ends after `seconds`, or when
    `total` answers have come."""

    port: int
    requests: list[str]
    clients: int
    seconds: float = 0.0
    total: int = 0
    once: bool = False
    core: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`latencies` in seconds, sorted."""

    seconds: float
    statuses: dict[str, int]
    latencies: list[float]

    @property
    def count(self) -> int:
        return len(self.latencies)

    def percentile(self, part: float) -> float:
        return self.latencies[min(self.count - 1, int(self.count * part))]


class _Run:
    def __init__(self, job: Job) -> None:
        requests = [text.encode() for text in job.requests]
        self.next = iter(requests) if job.once else cycle(requests)
        self.until = time.perf_counter() + job.seconds if job.seconds else float("inf")
        self.left = job.total or (len(requests) if job.once else sys.maxsize)
        self.latencies: list[float] = []
        self.statuses: Counter[bytes] = Counter()
        self.last = 0.0


class _Client(asyncio.Protocol):
    """One connection: one request on the way at a time."""

    def __init__(self, run: _Run, done: asyncio.Future[None]) -> None:
        self._run, self._done = run, done
        self._head, self._missing, self._status, self._sent = b"", 0, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the service closed the connection"))

    def _send(self) -> None:
        run = self._run
        request = next(run.next, None) if run.left > 0 and time.perf_counter() < run.until else None
        if request is None:
            self._done.set_result(None)
            self._transport.close()
            return
        run.left -= 1
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, self._status = self._head[:end].lower(), self._head[9:12]
            at = head.find(b"content-length:")
            length = (
                int(head[at + 15 : head.find(b"\r", at) if b"\r" in head[at:] else None]) if at >= 0 else 0
            )
            self._missing = length - (len(self._head) - end - 4)
            self._head = b""
        if self._missing <= 0:
            run, run.last = self._run, time.perf_counter()
            run.latencies.append(run.last - self._sent)
            run.statuses[self._status] += 1
            self._missing = 0
            self._send()


async def _drive(job: Job) -> Result:
    loop = asyncio.get_running_loop()
    run, began = _Run(job), time.perf_counter()
    ends = [loop.create_future() for _ in range(job.clients)]
    for end in ends:
        await loop.create_connection(partial(_Client, run, end), "127.0.0.1", job.port)
    await asyncio.gather(*ends)
    return Result(
        seconds=run.last - began,
        statuses={status.decode(): n for status, n in run.statuses.items()},
        latencies=sorted(run.latencies),
    )


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_drive(job))))


if __name__ == "__main__":
    main()

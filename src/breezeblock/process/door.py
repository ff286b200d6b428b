# SPDX-License-Identifier: Apache-2.0
"""Who may keep the service busy before it is known who they are: bounds for a request's head, in bytes and in time, and for the number of
connections. Nobody has shown a token by then; on loopback that is every user of the machine. Must never look at what a request says."""

from __future__ import annotations

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

#: A head longer than this (bytes), or not whole after so many seconds, ends its connection.
HEAD_BYTES, HEAD_SECONDS = 64 << 10, 30.0
#: So many are open at once; half of the file descriptors stay for work.
CONNECTIONS = 4096


class Door(HttpToolsProtocol):
    """The server's protocol with those bounds (its own knows none)."""

    _taken, _heading = 0, True
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._bound_time()

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        super().data_received(data)
        if self._heading and self._taken > HEAD_BYTES:
            self.send_400_response(f"The head of the request is longer than {HEAD_BYTES} bytes.")
        self._bound_time()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._taken, self._heading = 0, False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._taken, self._heading = 0, True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def _bound_time(self) -> None:
        """The clock runs unless a request is being answered: a client may wait for us, not we for it."""
        cycle: RequestResponseCycle | None = self.cycle
        idle = cycle is None or cycle.response_complete
        if idle and self._alarm is None:
            self._alarm = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        elif not idle and self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def enough_descriptors() -> None:
    """As many as the host allows, up to twice the connections: the usual soft limit of 1024 is less than a burst of clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

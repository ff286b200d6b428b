# SPDX-License-Identifier: Apache-2.0
"""Bells inside one process: waiting threads and coroutines are woken by name. A lost bell costs latency only; nothing is kept here."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


class InProcessBell:
    """Rings the engine for any queue, and coroutines that wait for one name ("operation/<id>")."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._waiters: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)

    # -- the engine's side -----------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)
        self._event.clear()

    def ring(self) -> None:
        self._event.set()

    # -- the store's side ------------------------------------------------------------------------------------------

    def rung(self, names: frozenset[str]) -> None:
        """Called after a commit, from any thread."""
        if any(not name.startswith("operation/") for name in names):
            self._event.set()
        with self._lock:
            woken = [waiter for name in names for waiter in self._waiters.get(name, ())]
        for loop, event in woken:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits there
                loop.call_soon_threadsafe(event.set)

    # -- coroutines ------------------------------------------------------------------------------------------------

    def awaited(self, name: str) -> bool:
        """Does a coroutine listen for this name now?"""
        with self._lock:
            return bool(self._waiters.get(name))

    @contextmanager
    def listening(self, name: str) -> Iterator[Callable[[float], Awaitable[bool]]]:
        """From now on a ring of the name is not missed: look at the truth inside, then await the given function (seconds -> heard?)."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiters[name].add(waiter)

        async def heard(seconds: float) -> bool:
            try:
                await asyncio.wait_for(waiter[1].wait(), seconds)
            except TimeoutError:
                return False
            return True

        try:
            yield heard
        finally:
            with self._lock:
                self._waiters[name].discard(waiter)
                if not self._waiters[name]:
                    del self._waiters[name]

# SPDX-License-Identifier: Apache-2.0
"""The one hop of a request from the event loop to a thread and back. An executor's future is made for any waiter; here it is known that a
coroutine waits, which halves what the hop costs (docs/BENCHMARKS.md). Must never know what a function does."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from breezeblock.model.errors import Stopping

T = TypeVar("T")


class Answer(Protocol):
    """Where a thread puts what came of a function: a concurrent.futures.Future is one, a Landing another."""

    def set_running_or_notify_cancel(self) -> bool:
        """False: nobody waits any more, and the function need not run."""
        ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException | None, /) -> None: ...


class Landing(Generic[T]):
    """An Answer for a coroutine, which awaits `future`. Made on the loop, answered from any thread."""

    __slots__ = ("_loop", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    def set_running_or_notify_cancel(self) -> bool:
        return not self.future.cancelled()

    def set_result(self, result: T, /) -> None:
        self._land(result, None)

    def set_exception(self, exception: BaseException | None, /) -> None:
        self._land(None, exception)

    def _land(self, result: T | None, failure: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(self._settle, result, failure)

    def _settle(self, result: Any, failure: BaseException | None) -> None:
        if self.future.done():  # its request was cut
            return
        if failure is not None:
            self.future.set_exception(failure)
        else:
            self.future.set_result(result)


class Crew:
    """A few threads that run functions in the order they come."""

    def __init__(self, number: int, name: str) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Answer] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(number)
        ]
        self._lock, self._closed = threading.Lock(), False
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[[], Any], answer: Answer) -> None:
        with self._lock:
            if not self._closed:
                self._queue.put((fn, answer))
                return
        answer.set_exception(Stopping("the store is closed"))

    def close(self) -> None:
        """What was handed over before is still done."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            fn, answer = item
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                result = fn()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to its caller
                answer.set_exception(error)
            else:
                answer.set_result(result)
            del item, fn, answer  # nothing of a request outlives it here

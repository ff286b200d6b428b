# SPDX-License-Identifier: Apache-2.0
"""The hop between the event loop and the store's threads: answers arrive once, belong to their caller, and never to a loop that is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from breezeblock.model.errors import Stopping
from breezeblock.store.hop import Crew, Landing

DEADLINE = 20.0


def _holding(entered: threading.Event, leave: threading.Event) -> Callable[[], None]:
    def fn() -> None:
        entered.set()
        leave.wait(DEADLINE)

    return fn


@pytest.fixture
def crew() -> Iterator[Crew]:
    made = Crew(2, "test")
    yield made
    made.close()


def test_a_coroutine_gets_the_result_or_the_failure(crew: Crew) -> None:
    async def both() -> None:
        fine: Landing[str] = Landing()
        crew.submit(lambda: threading.current_thread().name, fine)
        assert (await asyncio.wait_for(fine.future, DEADLINE)).startswith("test-")
        bad: Landing[int] = Landing()
        crew.submit(lambda: int("x"), bad)
        with pytest.raises(ValueError):
            await asyncio.wait_for(bad.future, DEADLINE)

    asyncio.run(both())


def test_what_nobody_waits_for_any_more_is_not_run(crew: Crew) -> None:
    entered, leave, ran = threading.Event(), threading.Event(), threading.Event()

    async def cut() -> None:
        for _ in range(2):  # both threads are busy
            crew.submit(_holding(entered, leave), Future())
        assert await asyncio.to_thread(entered.wait, DEADLINE)
        landing: Landing[None] = Landing()
        crew.submit(ran.set, landing)
        landing.future.cancel()
        leave.set()
        after: Landing[None] = Landing()
        crew.submit(lambda: None, after)
        await asyncio.wait_for(after.future, DEADLINE)

    asyncio.run(cut())
    crew.close()
    assert not ran.is_set()


def test_a_caller_that_goes_away_while_it_runs_harms_nobody(crew: Crew) -> None:
    async def cut() -> None:
        entered, leave = threading.Event(), threading.Event()
        landing: Landing[None] = Landing()
        crew.submit(_holding(entered, leave), landing)
        assert await asyncio.to_thread(entered.wait, DEADLINE)
        landing.future.cancel()
        leave.set()
        after: Landing[int] = Landing()
        crew.submit(lambda: 5, after)
        assert await asyncio.wait_for(after.future, DEADLINE) == 5

    asyncio.run(cut())


def test_a_loop_that_is_gone_harms_no_thread(crew: Crew) -> None:
    entered, leave = threading.Event(), threading.Event()

    async def left() -> None:
        crew.submit(_holding(entered, leave), Landing())
        assert await asyncio.to_thread(entered.wait, DEADLINE)

    asyncio.run(left())
    leave.set()
    later: Future[int] = Future()
    crew.submit(lambda: 7, later)
    assert later.result(DEADLINE) == 7


def test_a_closed_crew_says_that_the_service_is_stopping(crew: Crew) -> None:
    crew.close()
    late: Future[int] = Future()
    crew.submit(lambda: 1, late)
    with pytest.raises(Stopping):
        late.result(DEADLINE)

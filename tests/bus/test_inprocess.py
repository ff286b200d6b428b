# SPDX-License-Identifier: Apache-2.0
"""Bells inside one process: who waits is woken by name, once it listens no ring is missed, and nothing is kept."""

from __future__ import annotations

import asyncio
import threading
import time

from breezeblock.bus.inprocess import InProcessBell

DEADLINE = 10.0


def test_the_engine_is_woken_by_a_queue_and_not_by_an_operations_end() -> None:
    bell = InProcessBell()
    began = time.monotonic()
    bell.rung(frozenset({"operation/1"}))
    bell.wait(0.05)
    assert time.monotonic() - began >= 0.05
    bell.rung(frozenset({"operation/1", "backend/b"}))
    began = time.monotonic()
    bell.wait(DEADLINE)
    assert time.monotonic() - began < DEADLINE / 2


def test_a_ring_before_the_wait_is_not_lost_and_counts_once() -> None:
    bell = InProcessBell()
    bell.ring()
    bell.ring()
    began = time.monotonic()
    bell.wait(DEADLINE)
    bell.wait(0.05)
    assert 0.05 <= time.monotonic() - began < DEADLINE / 2


def test_a_ring_from_another_thread_ends_the_wait() -> None:
    bell = InProcessBell()
    woken = threading.Event()

    def wait() -> None:
        bell.wait(DEADLINE)
        woken.set()

    threading.Thread(target=wait, daemon=True).start()
    time.sleep(0.02)
    bell.ring()
    assert woken.wait(DEADLINE / 2)


def test_a_coroutine_hears_its_name_only() -> None:
    bell = InProcessBell()

    async def main() -> tuple[bool, bool]:
        with bell.listening("operation/1") as mine, bell.listening("operation/2") as other:
            threading.Thread(target=bell.rung, args=(frozenset({"operation/1"}),)).start()
            return await mine(DEADLINE), await other(0.05)

    assert asyncio.run(main()) == (True, False)


def test_a_ring_while_the_truth_is_read_is_not_missed() -> None:
    bell = InProcessBell()

    async def main() -> bool:
        with bell.listening("operation/1") as heard:
            await asyncio.to_thread(bell.rung, frozenset({"operation/1"}))  # between the look and the wait
            return await heard(DEADLINE)

    assert asyncio.run(main())


def test_all_who_listen_to_a_name_hear_it() -> None:
    bell = InProcessBell()

    async def one() -> bool:
        with bell.listening("operation/1") as heard:
            return await heard(DEADLINE)

    async def main() -> list[bool]:
        waiting = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.sleep(0.02)
        bell.rung(frozenset({"operation/1"}))
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [True] * 5


def test_nothing_is_kept_of_who_no_longer_listens() -> None:
    bell = InProcessBell()

    async def main() -> None:
        with bell.listening("operation/1") as heard:
            assert bell.awaited("operation/1")
            assert not await heard(0.01)
        assert not bell.awaited("operation/1")
        assert bell._waiters == {}

    asyncio.run(main())
    assert bell._waiters == {}


def test_a_ring_for_a_loop_that_was_closed_harms_nobody() -> None:
    bell = InProcessBell()
    loop = asyncio.new_event_loop()

    async def listen() -> None:
        await asyncio.sleep(0)
        bell._waiters["operation/1"].add((loop, asyncio.Event()))

    loop.run_until_complete(listen())
    loop.close()
    bell.rung(frozenset({"operation/1"}))
    assert bell.awaited("operation/1")

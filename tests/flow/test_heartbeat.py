# SPDX-License-Identifier: Apache-2.0
"""Staying owner: leases are renewed; when they cannot be while something runs, the process gives up before they end, not after."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from breezeblock.flow.heartbeat import Heartbeat
from breezeblock.model.errors import Fenced, Unreachable

#: a fifth of the lease is what a busy machine may delay a thread by
LEASE, EVERY, DEADLINE = 1.5, 0.1, 20.0

pytestmark = pytest.mark.slow


class Process:
    """What a heartbeat keeps alive. `given_up` tells when, since the last renewal that went through began."""

    def __init__(self) -> None:
        self.busy, self.renewals = True, 0
        self.renewed = time.monotonic()
        self.failure: Callable[[], None] = lambda: None
        self.gave_up = threading.Event()
        self.reasons: list[tuple[str, float]] = []
        self.beats = threading.Event()

    def renew(self) -> None:
        began = time.monotonic()
        self.failure()
        self.renewed = began
        self.renewals += 1
        if self.renewals >= 3:
            self.beats.set()

    def give_up(self, reason: str) -> None:
        self.reasons.append((reason, time.monotonic() - self.renewed))
        self.gave_up.set()


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    heart = Heartbeat(
        process.renew, lambda: process.busy, process.give_up, lease_seconds=LEASE, renew_seconds=EVERY
    )
    heart.start()
    yield process
    heart.end()


def _unreachable() -> None:
    raise Unreachable("the database does not answer")


def test_leases_that_are_renewed_are_kept(process: Process) -> None:
    assert process.beats.wait(DEADLINE)
    assert not process.gave_up.wait(LEASE * 1.5)


def test_a_renewal_that_fails_ends_the_process_before_its_leases(process: Process) -> None:
    assert process.beats.wait(DEADLINE)
    process.failure = _unreachable
    assert process.gave_up.wait(DEADLINE)
    ((reason, after),) = process.reasons
    assert "not renewed" in reason
    assert LEASE / 2 < after < LEASE


def test_a_renewal_that_hangs_ends_the_process_before_its_leases(process: Process) -> None:
    assert process.beats.wait(DEADLINE)
    forever = threading.Event()

    def hangs() -> None:
        forever.wait(DEADLINE)

    process.failure = hangs
    assert process.gave_up.wait(DEADLINE)
    assert process.reasons[0][1] < LEASE
    forever.set()


def test_a_failure_that_passes_in_time_is_survived(process: Process) -> None:
    assert process.beats.wait(DEADLINE)
    left = [3]

    def flickers() -> None:
        if left[0] > 0:
            left[0] -= 1
            _unreachable()

    process.failure = flickers
    before = process.renewals
    deadline = time.monotonic() + DEADLINE
    while process.renewals < before + 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.renewals >= before + 5
    assert process.reasons == []


def test_a_process_that_holds_nothing_survives_an_outage(process: Process) -> None:
    process.busy, process.failure = False, _unreachable
    assert not process.gave_up.wait(LEASE * 1.5)


def test_who_is_fenced_off_gives_up_at_once(process: Process) -> None:
    def fenced() -> None:
        raise Fenced("a newer owner has taken over")

    process.failure = fenced
    assert process.gave_up.wait(DEADLINE)
    assert process.reasons[0][0].startswith("a newer owner")


def test_leases_taken_by_a_slow_claim_count_from_its_beginning() -> None:
    """The database began to count when the claim began, however long its answer took."""
    process = Process()
    process.failure = _unreachable
    heart = Heartbeat(
        process.renew, lambda: process.busy, process.give_up, lease_seconds=LEASE, renew_seconds=EVERY
    )
    process.renewed = time.monotonic() - LEASE / 2
    heart.holding(process.renewed)
    heart.start()
    assert process.gave_up.wait(DEADLINE)
    assert process.reasons[0][1] < LEASE
    heart.end()

# SPDX-License-Identifier: Apache-2.0
"""The engine: claims operations of this process' queues and drives them, each in a thread, in two lanes with workers of their own. What it
does not finish it gives back, again and again until the store has taken it: a lease that nobody works under would be renewed for ever.
Knows operations only as Claimed rows behind the Claims Protocol."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from breezeblock.flow.heartbeat import Heartbeat
from breezeblock.flow.journal import Journal
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Flow, Work
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, Error, Stopping

log = logging.getLogger(__name__)

LANES = (0, 1)
#: seconds until an operation is claimed again that met a defect, or a database that did not answer.
DEFECT_SECONDS, OUTAGE_SECONDS = 30.0, 2.0


class ClaimedOperation(Protocol):
    """What the engine needs to know of a claimed row."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def resource_id(self) -> str: ...
    @property
    def project_id(self) -> str: ...
    @property
    def args(self) -> dict[str, Any]: ...
    @property
    def fence(self) -> int: ...


class Claims(Protocol):
    """The engine's side of the store."""

    def claim(self, lane: int, limit: int) -> Sequence[tuple[ClaimedOperation, Journal]]: ...

    def renew(self) -> None:
        """Renew all leases of this process and raise the cancel flags of its journals. Raises when the store does not answer."""
        ...

    def give_back(self, operation: ClaimedOperation, seconds: float) -> None:
        """Release one lease, if it is still this one; it may be claimed again after so many seconds."""
        ...

    def report(self, id: str, done: int, total: int) -> None: ...

    def next_due(self) -> float | None:
        """Seconds until a waiting operation may be claimed; None: nothing waits."""
        ...


class Bell(Protocol):
    """Wakes the engine when there may be work. Bells may be lost: the engine also looks by itself."""

    def wait(self, seconds: float) -> None: ...

    def ring(self) -> None: ...


class Engine:
    """`workers` per lane; `ports` is handed to tasks; `give_up(reason)` must end the process at once."""

    def __init__(
        self,
        claims: Claims,
        flows: dict[str, Flow],
        bell: Bell,
        ports: Any,
        *,
        workers: tuple[int, int] = (4, 8),
        lease_seconds: float = 15.0,
        renew_seconds: float = 5.0,
        poll_seconds: float = 2.0,
        give_up: Callable[[str], None],
        probe: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._claims, self._flows, self._bell, self._ports = claims, flows, bell, ports
        self._poll, self._probe = poll_seconds, probe
        self._heartbeat = Heartbeat(
            self._renewed, self._busy, give_up, lease_seconds=lease_seconds, renew_seconds=renew_seconds
        )
        self._pools = [
            ThreadPoolExecutor(n, thread_name_prefix=f"lane{lane}")
            for lane, n in zip(LANES, workers, strict=True)
        ]
        self._workers = workers
        #: (id, fence): one that is given up and claimed again is another run, which may begin before the first is seen to have ended.
        self._running: list[set[tuple[str, int]]] = [set(), set()]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._claimer = threading.Thread(target=self._claim_loop, name="engine-claims", daemon=True)
        #: to be given back once the store answers: (operation, seconds).
        self._owed: list[tuple[ClaimedOperation, float]] = []

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._claimer.start()
        self._heartbeat.start()

    def stop(self, grace_seconds: float = 20.0) -> list[str]:
        """No new claims; what runs finishes, or is parked at its next check. Returns the operations that had to be left running:
        their threads go on until the process exits, and their leases are renewed until then."""
        self._stopping.set()
        self._bell.ring()
        deadline = time.monotonic() + grace_seconds
        if self._claimer.is_alive():
            self._claimer.join(grace_seconds)
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        with self._lock:
            left = sorted({id for id, _ in set().union(*self._running)})
        for pool in self._pools:
            pool.shutdown(wait=not left, cancel_futures=True)
        if not left:
            self._heartbeat.end()
        return left

    def _busy(self) -> bool:
        with self._lock:
            return any(self._running)

    # -- claiming --------------------------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while not self._stopping.is_set():
            try:
                claimed = sum(self._claim(lane) for lane in LANES)
                due = self._claims.next_due() if not claimed else None
            except Error as error:
                log.warning("cannot claim: %s", error)
                claimed, due = 0, 1.0
            except Exception:
                log.exception("claiming failed")
                claimed, due = 0, 1.0
            if not claimed:
                self._bell.wait(max(0.01, min(self._poll, due if due is not None else self._poll)))

    def _claim(self, lane: int) -> int:
        with self._lock:
            free = self._workers[lane] - len(self._running[lane])
        if free <= 0:
            return 0
        began = time.monotonic()
        claimed = self._claims.claim(lane, free)
        for operation, journal in claimed:
            run = (operation.id, operation.fence)
            with self._lock:
                self._running[lane].add(run)
            self._heartbeat.holding(began)
            future = self._pools[lane].submit(self._drive, operation, journal)
            future.add_done_callback(partial(self._done, lane, run))
        return len(claimed)

    def _done(self, lane: int, run: tuple[str, int], future: Future[Any]) -> None:
        with self._lock:
            self._running[lane].discard(run)
        self._bell.ring()
        if not future.cancelled() and future.exception() is not None:
            log.error("operation %s broke", run[0], exc_info=future.exception())

    # -- driving ---------------------------------------------------------------------------------------------------

    def _drive(self, operation: ClaimedOperation, journal: Journal) -> None:
        try:
            outcome = self._run(operation, journal)
        except Error as error:
            if error.transient:  # the database does not answer; what was done is seen again by observe
                log.warning("operation %s (%s) goes on later: %s", operation.id, operation.kind, error)
                self._give_back(operation, OUTAGE_SECONDS)
                return
            self._defect(operation, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lease must not stay
            self._defect(operation, error)
        else:
            if outcome is Outcome.PARKED:
                self._give_back(operation, 0.0)
            elif outcome is Outcome.LOST:
                # mostly somebody else's by now, and then this does nothing; but who is fenced off by a backend alone still holds the lease
                self._give_back(operation, OUTAGE_SECONDS)

    def _run(self, operation: ClaimedOperation, journal: Journal) -> Outcome:
        flow = self._flows[operation.kind]
        work = Work(
            operation=operation.id,
            kind=operation.kind,
            resource_id=operation.resource_id,
            project_id=operation.project_id,
            args=operation.args,
            fence=operation.fence,
            ports=self._ports,
        )
        driven = LinearFlow(flow, work, journal, probe=self._probe)

        def check() -> None:
            if self._stopping.is_set():
                raise Stopping("the service is stopping; the operation goes on after its restart")
            if journal.cancelled() and driven.cancellable:
                raise Cancelled("cancelled on request")

        work.call = Context(
            operation.id,
            operation.fence,
            progress=_Throttle(operation.id, self._claims.report),
            check=check,
        )
        return driven.run()

    def _defect(self, operation: ClaimedOperation, error: Exception) -> None:
        """Not a failure of the work: it stays visible and is tried again, slowly."""
        text = "operation %s (%s) met a defect; it waits %g s"
        log.error(text, operation.id, operation.kind, DEFECT_SECONDS, exc_info=error)
        self._give_back(operation, DEFECT_SECONDS)

    # -- leases ----------------------------------------------------------------------------------------------------

    def _give_back(self, operation: ClaimedOperation, seconds: float) -> None:
        try:
            self._claims.give_back(operation, seconds)
        except Exception as error:  # noqa: BLE001 - the heartbeat tries again: else the lease would be renewed for ever
            log.warning("operation %s is not given back yet: %s", operation.id, error)
            with self._lock:
                self._owed.append((operation, seconds))

    def _renewed(self) -> None:
        self._claims.renew()
        with self._lock:
            owed, self._owed = self._owed, []
        for operation, seconds in owed:
            self._give_back(operation, seconds)


class _Throttle:
    """Progress is written at most once a second. That it cannot be written is no reason to stop the work."""

    def __init__(self, id: str, report: Callable[[str, int, int], None]) -> None:
        self._id, self._report, self._last = id, report, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= 1.0 or done >= total:
            self._last = now
            try:
                self._report(self._id, done, total)
            except Error as error:
                log.warning("progress of operation %s is not written: %s", self._id, error)

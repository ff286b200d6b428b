# SPDX-License-Identifier: Apache-2.0
"""The engine: claims operations of this process' queues and drives them, each in a thread, in two lanes with workers of their own. One
heartbeat renews every lease; a process that cannot renew stops by exiting before the lease ends (`give_up`), never by asking threads.
Knows operations only as Claimed rows behind the Claims Protocol."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from breezeblock.flow.journal import Journal
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Flow, Work
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, Error, Fenced, Stopping

log = logging.getLogger(__name__)

LANES = (0, 1)


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

    def give_back(self, id: str, seconds: float) -> None:
        """Release one lease; it may be claimed again after so many seconds."""
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
        self._lease, self._renew, self._poll = lease_seconds, renew_seconds, poll_seconds
        self._give_up, self._probe = give_up, probe
        self._pools = [
            ThreadPoolExecutor(n, thread_name_prefix=f"lane{lane}")
            for lane, n in zip(LANES, workers, strict=True)
        ]
        self._workers = workers
        self._running: list[set[str]] = [set(), set()]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for name, body in (("claims", self._claim_loop), ("heartbeat", self._heartbeat)):
            thread = threading.Thread(target=body, name=f"engine-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, grace_seconds: float = 20.0) -> list[str]:
        """No new claims; what runs finishes, or is parked at its next check. Returns the operations that had to be left running."""
        self._stopping.set()
        self._bell.ring()
        deadline = time.monotonic() + grace_seconds
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.02)
        left = sorted(set().union(*self._running))
        for pool in self._pools:
            pool.shutdown(wait=not left, cancel_futures=True)
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
        claimed = self._claims.claim(lane, free)
        for operation, journal in claimed:
            with self._lock:
                self._running[lane].add(operation.id)
            future = self._pools[lane].submit(self._drive, operation, journal)
            future.add_done_callback(lambda done, lane=lane, id=operation.id: self._done(lane, id, done))  # type: ignore[misc]
        return len(claimed)

    def _done(self, lane: int, id: str, future: Future[Any]) -> None:
        with self._lock:
            self._running[lane].discard(id)
        self._bell.ring()
        if not future.cancelled() and future.exception() is not None:
            log.error("operation %s broke", id, exc_info=future.exception())

    # -- driving ---------------------------------------------------------------------------------------------------

    def _drive(self, operation: ClaimedOperation, journal: Journal) -> None:
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
        work.call = Context(
            operation.id,
            operation.fence,
            progress=_Throttle(operation.id, self._claims.report),
            check=self._checker(journal, flow),
        )
        try:
            outcome = LinearFlow(flow, work, journal, probe=self._probe).run()
        except Exception:  # a defect, not a failure of the work: it stays visible and is tried again, slowly
            log.exception("operation %s (%s) met a defect; it waits 30 s", operation.id, operation.kind)
            self._claims.give_back(operation.id, 30.0)
            return
        if outcome is Outcome.RELEASED and self._stopping.is_set():
            self._claims.give_back(operation.id, 0.0)

    def _checker(self, journal: Journal, flow: Flow) -> Callable[[], None]:
        def check() -> None:
            if self._stopping.is_set():
                raise Stopping("the service is stopping; the operation goes on after its restart")
            if journal.cancelled() and flow.pivot is None:
                raise Cancelled("cancelled on request")

        return check

    # -- staying owner ---------------------------------------------------------------------------------------------

    def _heartbeat(self) -> None:
        renewed = time.monotonic()
        while True:
            if self._stopping.wait(self._renew):
                if not self._busy():
                    return
                time.sleep(min(self._renew, 0.5))
            if time.monotonic() - renewed > self._lease:
                self._give_up("this process slept through its leases")
                return
            try:
                self._claims.renew()
                renewed = time.monotonic()
            except Fenced as error:
                self._give_up(str(error))
                return
            except Exception as error:  # noqa: BLE001 - whatever it is: without a renewal the leases end
                left = self._lease - (time.monotonic() - renewed)
                log.warning("leases not renewed (%s); %.1f s left", error, left)
                if left < self._renew:
                    self._give_up(f"leases could not be renewed: {error}")
                    return


class _Throttle:
    """Progress is written at most once a second."""

    def __init__(self, id: str, report: Callable[[str, int, int], None]) -> None:
        self._id, self._report, self._last = id, report, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= 1.0 or done >= total:
            self._last = now
            self._report(self._id, done, total)

# SPDX-License-Identifier: Apache-2.0
"""What comes round: service rows are refreshed, pools sampled, backends that are down tried again, old history purged, attachments of this
host looked at. Every step may fail alone and is tried again at its next turn. Saying that this process is alive has a thread of its own: a
backend or a device that answers slowly must not make it look dead."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from breezeblock.model.errors import Error, Failed, Stopping
from breezeblock.operations.backend import tidy
from breezeblock.process import backends as running
from breezeblock.process.backends import RunningBackend
from breezeblock.process.orphans import Orphans
from breezeblock.store import history, services
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx

log = logging.getLogger(__name__)

BEAT_SECONDS, REPORT_SECONDS, RETRY_SECONDS, PURGE_SECONDS, TIDY_SECONDS = 10.0, 15.0, 5.0, 3600.0, 600.0
#: after a nudge: how soon, and how often at most.
SETTLE_SECONDS, NUDGED_SECONDS = 0.5, 3.0
HISTORY_DAYS = 30


class Periodic:
    """`nudge` asks for a pool report soon (an operation that changes space has ended)."""

    def __init__(
        self,
        store: Store,
        backends: Sequence[RunningBackend],
        *,
        process_id: str,
        host: str,
        roles: Sequence[str],
        zone: str,
        queues: Callable[[], Sequence[str]],
        look_at_attachments: Callable[[], None],
        orphans: Orphans | None,
        started_at: str,
    ) -> None:
        self._store, self._backends, self._queues = store, backends, queues
        self._process_id, self._host, self._roles, self._zone, self._started_at = (
            process_id,
            host,
            tuple(roles),
            zone,
            started_at,
        )
        self._look, self._orphans = look_at_attachments, orphans
        self._stop, self._nudged = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=body, name=name, daemon=True)
            for name, body in (("periodic", self._run), ("alive", self._beats))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def nudge(self) -> None:
        self._nudged.set()

    def stop(self) -> None:
        self._stop.set()
        self._nudged.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def beat(self) -> None:
        """This process and its services are alive."""
        queues = list(self._queues())

        def write(tx: Tx) -> None:
            services.seen(
                tx,
                self._process_id,
                host=self._host,
                pid=os.getpid(),
                roles=",".join(self._roles),
                queues=queues,
                started_at=self._started_at,
            )
            services.forget_silent(tx, int(600e6))
            if "scheduler" in self._roles:
                services.beat(tx, "cinder-scheduler", self._host, availability_zone=self._zone)
            for backend in self._backends:
                if backend.ready:
                    zone = backend.settings.availability_zone
                    services.beat(
                        tx,
                        "cinder-volume",
                        f"{self._host}@{backend.name}",
                        availability_zone=zone,
                        backend_id=backend.id,
                    )

        self._store.write_sync(write)

    def _beats(self) -> None:
        while not self._stop.is_set():
            self._try("beat", self.beat)
            self._stop.wait(BEAT_SECONDS)

    def _run(self) -> None:
        due: dict[str, float] = {
            "report": 0.0,
            "retry": RETRY_SECONDS,
            "purge": PURGE_SECONDS,
            "look": 0.0,
            "orphans": BEAT_SECONDS,
            "tidy": TIDY_SECONDS,
        }
        began = time.monotonic()
        steps: dict[str, tuple[float, Callable[[], None]]] = {
            "report": (REPORT_SECONDS, self._report),
            "retry": (RETRY_SECONDS, self._retry),
            "purge": (PURGE_SECONDS, self._purge),
            "look": (BEAT_SECONDS, self._look),
            "orphans": (BEAT_SECONDS, self._watch),
            "tidy": (TIDY_SECONDS, self._tidy),
        }
        while not self._stop.is_set():
            now = time.monotonic() - began
            for name, (every, step) in steps.items():
                if due[name] <= now:
                    due[name] = now + every
                    self._try(name, step)
            if self._nudged.wait(1.0) and not self._stop.is_set():
                self._nudged.clear()
                soon = max(
                    time.monotonic() - began + SETTLE_SECONDS, due["report"] - REPORT_SECONDS + NUDGED_SECONDS
                )
                due["report"] = min(due["report"], soon)

    def _try(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Stopping:
            return
        except Error as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)

    def _watch(self) -> None:
        if self._orphans is not None:
            self._orphans.look()

    def _tidy(self) -> None:
        for backend in self._backends:
            if backend.ready:
                self._store.write_sync(partial(tidy.tidy, backend_id=backend.id))

    def _report(self) -> None:
        for backend in self._backends:
            if backend.ready:
                try:
                    running.report(backend, self._store)
                except Failed as error:  # the others report all the same
                    if backend.reason != str(error):
                        log.warning("backend %s does not report: %s", backend.name, error)
                    running.mark_silent(backend, self._store, str(error))

    def _retry(self) -> None:
        for backend in self._backends:
            if not backend.ready and running.start(backend, self._store):
                log.info("backend %s is up", backend.name)

    def _purge(self) -> None:
        before = (datetime.now(UTC) - timedelta(days=HISTORY_DAYS)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        while self._store.write_sync(lambda tx: history.purge(tx, before)):
            if self._stop.is_set():
                return

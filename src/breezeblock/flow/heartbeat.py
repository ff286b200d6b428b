# SPDX-License-Identifier: Apache-2.0
"""Staying owner: one thread renews every lease of the process, another watches the clock, because a renewal may hang as well as fail. When
the leases are about to end while something runs, `give_up` is called before they do; it must end the process at once, never ask threads.
A process that holds nothing loses nothing and outlives its database's outage. Must never touch a single operation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from breezeblock.model.errors import Fenced

log = logging.getLogger(__name__)


class Heartbeat:
    """`renew` is called every `renew_seconds`; `busy` tells whether anything is held; leases last `lease_seconds` from each renewal."""

    def __init__(
        self,
        renew: Callable[[], None],
        busy: Callable[[], bool],
        give_up: Callable[[str], None],
        *,
        lease_seconds: float,
        renew_seconds: float,
    ) -> None:
        self._renew, self._busy, self._give_up = renew, busy, give_up
        self._lease, self._every = lease_seconds, renew_seconds
        #: exit this long before the leases end: what it takes to notice and to end.
        self._margin = lease_seconds / 5
        self._held_since = time.monotonic()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=body, name=f"engine-{name}", daemon=True)
            for name, body in (("heartbeat", self._beat), ("watchdog", self._watch))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Nothing is held any more."""
        self._ended.set()

    def holding(self, since: float) -> None:
        """New leases were taken by a call that began then (time.monotonic())."""
        with self._lock:
            self._held_since = min(self._held_since, since)

    def _beat(self) -> None:
        while not self._ended.wait(self._every):
            began = time.monotonic()
            try:
                self._renew()
            except Fenced as error:
                self._give_up(str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is: without a renewal the leases end
                log.warning("leases not renewed (%s); %.1f s left", error, self._left(time.monotonic()))
            else:
                with self._lock:
                    self._held_since = began

    def _watch(self) -> None:
        told = False
        while not self._ended.wait(self._lease / 20):
            now = time.monotonic()
            if not self._busy():
                with self._lock:
                    self._held_since = now
            elif self._left(now) > self._margin:
                told = False
            elif not told:
                told = True
                self._give_up(
                    f"leases were not renewed in time: {self._left(now):.1f} s of {self._lease:g} s are left"
                )

    def _left(self, now: float) -> float:
        with self._lock:
            return self._held_since + self._lease - now

# SPDX-License-Identifier: Apache-2.0
"""The engine's side of the store: claims rows for one process and keeps its leases. Satisfies flow's Claims."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence

from breezeblock.flow.engine import ClaimedOperation
from breezeblock.store import operations as rows
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.store.operations import Claimed, Look
from breezeblock.store.transaction import Tx


class StoreClaims:
    """`queues()` are those of this process now; it is asked at each claim, backends may come and go. `kinds` are the flows it knows."""

    def __init__(
        self, store: Store, owner: str, queues: Callable[[], Sequence[str]], *, lease_seconds: float
    ) -> None:
        self._store, self._owner, self._queues = store, owner, queues
        self._lease_us = int(lease_seconds * 1e6)
        self._journals: weakref.WeakValueDictionary[str, StoreJournal] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        #: the engine's one claiming thread's.
        self._looked: Look | None = None
        self._asked: set[str] = set()

    def claim(self, lane: int, limit: int) -> list[tuple[Claimed, StoreJournal]]:
        queues = list(self._queues())
        # a look first: most bells ring for the other lane, or for work that is already taken
        if lane not in self._look(f"lane {lane}").lanes:
            return []
        found = self._store.write_sync(
            lambda tx: rows.claim(tx, self._owner, queues, lane, limit, self._lease_us)
        )
        pairs = [(claimed, StoreJournal(self._store, claimed, self.serves)) for claimed in found]
        with self._lock:
            self._journals.update({claimed.id: journal for claimed, journal in pairs})
        return pairs

    def serves(self, queue: str) -> bool:
        return queue in self._queues()

    def renew(self) -> None:
        for id in self._store.write_sync(lambda tx: rows.renew(tx, self._owner, self._lease_us)):
            self.flag_cancel(id)

    def flag_cancel(self, id: str) -> None:
        """A cancel was asked for: the running flow sees it at its next check."""
        with self._lock:
            journal = self._journals.get(id)
        if journal is not None:
            journal.cancel_event.set()

    def give_back(self, operation: ClaimedOperation, seconds: float) -> None:
        def write(tx: Tx) -> None:
            rows.give_back(tx, operation.id, self._owner, operation.fence, int(seconds * 1e6))

        self._store.write_sync(write)

    def report(self, id: str, done: int, total: int) -> None:
        self._store.write_sync(lambda tx: rows.report(tx, id, self._owner, done, total))

    def next_due(self) -> float | None:
        return self._look("due").due

    def _look(self, purpose: str) -> Look:
        """The engine asks for its lanes in turn, then for what is due: one look serves each of these questions once."""
        if self._looked is None or purpose in self._asked:
            queues = list(self._queues())
            self._looked, self._asked = self._store.read_sync(lambda tx: rows.look(tx, queues)), set()
        self._asked.add(purpose)
        return self._looked

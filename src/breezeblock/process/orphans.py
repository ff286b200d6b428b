# SPDX-License-Identifier: Apache-2.0
"""The scheduler's watch over queues: operations whose queue has had no live server for `orphan_after` are decided here (operations.orphan),
and debts of queues that are served again are paid. Acts only through operations and their flows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from breezeblock.flow.linear import LinearFlow
from breezeblock.flow.task import Work
from breezeblock.operations.backend import debt, tidy
from breezeblock.operations.orphan import orphaned
from breezeblock.operations.registry import FLOWS
from breezeblock.store import debts, operations, services
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.store.schema import operations as operations_table
from breezeblock.store.transaction import Tx

log = logging.getLogger(__name__)


class Orphans:
    """`served()` are this process' queues; a queue counts as dead after `after_seconds` in which this process saw nobody serve it."""

    def __init__(
        self,
        store: Store,
        owner: str,
        served: Callable[[], Sequence[str]],
        ports: Any,
        *,
        after_seconds: float,
        lease_seconds: float,
    ) -> None:
        self._store, self._owner, self._served, self._ports = store, owner, served, ports
        self._after, self._lease_us = after_seconds, int(lease_seconds * 1e6)
        self._silent_since: dict[str, float] = {}

    def look(self) -> None:
        """One round: dead queues are decided for, debts of living ones are paid."""
        dead = self._dead_queues()
        if dead:
            self._decide(dead)
        mine = list(self._served())
        self._store.write_sync(lambda tx: [debt.pay(tx, owed) for owed in debts.due(tx, mine)])

    def tidy(self, backends: Sequence[str]) -> None:
        for id in backends:
            self._store.write_sync(lambda tx, id=id: tidy.tidy(tx, id))  # type: ignore[misc]

    def _dead_queues(self) -> list[str]:
        def read(tx: Tx) -> tuple[set[str], set[str]]:
            wanted = {row.queue for row in tx.rows(select(operations_table.c.queue).distinct())}
            return wanted, services.served_queues(tx, 3 * self._lease_us)

        wanted, served = self._store.read_sync(read)
        silent, now = wanted - served - set(self._served()), time.monotonic()
        self._silent_since = {queue: self._silent_since.get(queue, now) for queue in silent}
        return [queue for queue, since in self._silent_since.items() if now - since >= self._after]

    def _decide(self, queues: Sequence[str]) -> None:
        for lane in (operations.INTERACTIVE, operations.BULK):
            for claimed in self._store.write_sync(
                lambda tx, lane=lane: operations.claim(tx, self._owner, queues, lane, 50, self._lease_us)  # type: ignore[misc]
            ):
                log.warning(
                    "operation %s (%s): queue %s has no server; decided without it",
                    claimed.id,
                    claimed.kind,
                    claimed.queue,
                )
                work = Work(
                    operation=claimed.id,
                    kind=claimed.kind,
                    resource_id=claimed.resource_id,
                    project_id=claimed.project_id,
                    args=claimed.args,
                    fence=claimed.fence,
                    ports=self._ports,
                )
                journal = StoreJournal(
                    self._store, claimed, lambda queue: queue in queues or queue in self._served()
                )
                LinearFlow(orphaned(FLOWS[claimed.kind]), work, journal).run()

# SPDX-License-Identifier: Apache-2.0
"""The scheduler's watch over queues: operations whose queue has had no live server for `orphan_after` are decided here (operations.orphan),
and debts of queues that are served again, by whatever process, are paid. Acts only through operations and their flows.

It claims as an owner of its own, whose leases nobody renews: what it cannot decide now, because the database fails or a flow has a defect,
is free again when the lease ends, and the next round, here or elsewhere, takes it up."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from breezeblock.flow.linear import LinearFlow
from breezeblock.flow.task import Work
from breezeblock.operations.backend import debt
from breezeblock.operations.orphan import orphaned
from breezeblock.operations.registry import FLOWS
from breezeblock.store import debts, operations, services
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.store.operations import Claimed
from breezeblock.store.schema import operations as operations_table
from breezeblock.store.transaction import Tx

log = logging.getLogger(__name__)


class Orphans:
    """`served()` are this process' queues; a queue counts as dead after `after_seconds` in which this process saw nobody serve it."""

    def __init__(
        self,
        store: Store,
        served: Callable[[], Sequence[str]],
        ports: Any,
        *,
        after_seconds: float,
        lease_seconds: float,
    ) -> None:
        self._store, self._served, self._ports = store, served, ports
        self._owner = str(uuid.uuid4())
        self._after, self._lease_us = after_seconds, int(lease_seconds * 1e6)
        self._silent_since: dict[str, float] = {}

    def look(self) -> None:
        """One round: dead queues are decided for, debts of living ones are paid."""
        wanted, living = self._store.read_sync(self._queues)
        dead = self._dead(wanted - living)
        if dead:
            self._decide(dead)
        if self._store.read_sync(lambda tx: debts.due(tx, sorted(living))):
            self._store.write_sync(lambda tx: [debt.pay(tx, owed) for owed in debts.due(tx, sorted(living))])

    def _queues(self, tx: Tx) -> tuple[set[str], set[str]]:
        """Those with operations, and those that somebody serves."""
        wanted = {row.queue for row in tx.rows(select(operations_table.c.queue).distinct())}
        return wanted, services.served_queues(tx, 3 * self._lease_us) | set(self._served())

    def _dead(self, silent: set[str]) -> list[str]:
        now = time.monotonic()
        self._silent_since = {queue: self._silent_since.get(queue, now) for queue in silent}
        return [queue for queue, since in self._silent_since.items() if now - since >= self._after]

    def _decide(self, queues: Sequence[str]) -> None:
        """One at a time, so that each is decided well within its lease."""
        for lane in (operations.INTERACTIVE, operations.BULK):
            while claimed := self._store.write_sync(
                lambda tx, lane=lane: operations.claim(tx, self._owner, queues, lane, 1, self._lease_us)  # type: ignore[misc]
            ):
                self._drive(claimed[0], queues)

    def _drive(self, claimed: Claimed, queues: Sequence[str]) -> None:
        text = "operation %s (%s): queue %s has no server; decided without it"
        log.warning(text, claimed.id, claimed.kind, claimed.queue)
        work = Work(
            operation=claimed.id,
            kind=claimed.kind,
            resource_id=claimed.resource_id,
            project_id=claimed.project_id,
            args=claimed.args,
            fence=claimed.fence,
            ports=self._ports,
        )
        journal = StoreJournal(self._store, claimed, lambda queue: queue in queues or queue in self._served())
        try:
            LinearFlow(orphaned(FLOWS[claimed.kind]), work, journal).run()
        except Exception:
            log.exception("operation %s (%s) cannot be decided now", claimed.id, claimed.kind)

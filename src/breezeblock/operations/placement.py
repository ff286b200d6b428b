# SPDX-License-Identifier: Apache-2.0
"""The step between rows and the scheduler: reads every pool, asks `decide`, keeps the decision and reserves what it promised, all in one
transaction that no other placement can overtake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.flow.task import Work
from breezeblock.model.errors import NoBackend
from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decide import decide
from breezeblock.scheduler.decision import Decision
from breezeblock.scheduler.explain import explain
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.store import pools as pool_rows
from breezeblock.store.pools import PoolRow
from breezeblock.store.transaction import Tx


class Place(msgspec.Struct, frozen=True):
    """Where a volume goes. `queue` is served by the processes that reach the backend."""

    backend_id: str
    pool: str
    host: str
    queue: str


def place(tx: Tx, work: Work, request: PlacementRequest, policy: Policy) -> Place:
    """Decide, write down and reserve. Raises NoBackend with the reason; the decision is kept either way."""
    rows = pool_rows.page(tx, lock=True)
    decision = decide(request, [state_of(row) for row in rows], policy)
    reservation = f"{work.operation}:{work.round}"
    pool_rows.keep_decision(tx, reservation, request.volume_id, work.operation, msgspec.json.encode(decision))
    chosen = next((row for row in rows if row.host == decision.chosen), None)
    if chosen is None:
        raise refused(decision)
    pool_rows.reserve(tx, reservation, chosen.id, max(0, request.requested()))
    return Place(chosen.backend.id, chosen.name, chosen.host, chosen.backend.queue)


def refused(decision: Decision) -> NoBackend:
    return NoBackend(f"No valid backend was found: {decision.reason}", had=" ".join(explain(decision)))


def settle(tx: Tx, work: Work, *, gone: bool = False) -> None:
    """The promise of this round ends: the next pool report counts what is there (gone: nothing is)."""
    pool_rows.settle(tx, f"{work.operation}:{work.round}", gone=gone)


def state_of(row: PoolRow) -> PoolState:
    """A pool's row as the scheduler wants it."""
    report: Mapping[str, Any] = row.report
    capabilities: Mapping[str, Any] = report.get("capabilities", {})
    return PoolState(
        backend_id=row.backend.id, host=row.host, backend_name=row.backend.name, total=report["total"], free=report["free"],
        allocated=report["allocated"], provisioned=report["provisioned"], reserved_bytes=row.reserved_bytes,
        reserved_percentage=report["reserved_percentage"], max_over_subscription_ratio=report["max_over_subscription_ratio"],
        thin=bool(capabilities.get("thin")), thick=not capabilities.get("thin"),
        availability_zone=row.backend.availability_zone, capabilities=capabilities, volumes=row.volumes,
        up=row.backend.state == "up", enabled=row.backend.enabled, frozen=row.backend.frozen, usable=report["usable"],
        reason=report["reason"] or row.backend.reason, sampled_at=report["sampled_at"],
    )

# SPDX-License-Identifier: Apache-2.0
"""The step between rows and the scheduler: reads every pool, asks `decide`, keeps the decision and reserves what it promised, all in one
transaction that no other placement can overtake."""

from __future__ import annotations

import msgspec

from breezeblock.flow.task import Work
from breezeblock.model.errors import NoBackend
from breezeblock.model.pool import PoolState
from breezeblock.model.units import GiB
from breezeblock.scheduler.decide import decide
from breezeblock.scheduler.explain import no_backend
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.reported import pool_state
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


def place(tx: Tx, work: Work, request: PlacementRequest, policy: Policy) -> Place | NoBackend:
    """Decide, write down and reserve. Returns NoBackend with the reason: raised, it would take the kept decision with it."""
    rows = pool_rows.page(tx, lock=True)
    decision = decide(request, [state_of(row) for row in rows], policy)
    reservation = f"{work.operation}:{work.round}"
    pool_rows.keep_decision(tx, reservation, request.volume_id, work.operation, msgspec.json.encode(decision))
    chosen = next((row for row in rows if row.host == decision.chosen), None)
    if chosen is None:
        return no_backend(decision) if rows else _none_reported(tx, no_backend(decision))
    pool_rows.reserve(tx, reservation, chosen.id, max(0, request.requested()))
    return Place(chosen.backend.id, chosen.name, chosen.host, chosen.backend.queue)


def _none_reported(tx: Tx, error: NoBackend) -> NoBackend:
    """There is no verdict to look at: why the backends did not come so far is all that helps."""
    down = [f"backend {one.name}: {one.reason}" for one in pool_rows.all_backends(tx) if one.state != "up"]
    if down:
        error.had = "; ".join(down)
        error.remedy = (
            "Mend that ('breezeblock status' shows it); the backend is tried again every few seconds."
        )
    return error


def settle(tx: Tx, work: Work, *, gone: bool = False) -> None:
    """The promise of this round ends: the next pool report counts what is there (gone: nothing is)."""
    pool_rows.settle(tx, f"{work.operation}:{work.round}", gone=gone)


def state_of(row: PoolRow) -> PoolState:
    """A pool's row as the scheduler wants it. What volumes were promised counts as allocated, whatever the backend holds of it by now."""
    backend = row.backend
    return pool_state(
        row.report,
        host=row.host,
        backend_id=backend.id,
        backend_name=backend.name,
        availability_zone=backend.availability_zone,
        allocated=row.allocated_gib * GiB,
        volumes=row.volumes,
        reserved_bytes=row.reserved_bytes,
        up=backend.state == "up",
        enabled=backend.enabled,
        frozen=backend.frozen,
        filter_function=row.report.get("filter_function"),
        goodness_function=row.report.get("goodness_function"),
    )

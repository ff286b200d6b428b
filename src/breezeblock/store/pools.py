# SPDX-License-Identifier: Apache-2.0
"""Backends, pools, reservations and placement decisions. A reservation is removed by the first report that was sampled after its operation
ended, so that many schedulers never overbook and nothing is counted twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from breezeblock.model.units import GiB
from breezeblock.store.prepared import Prepared
from breezeblock.store.schema import backends, decisions, pools, reservations, snapshots, volumes
from breezeblock.store.sql import locking, renamed, upsert
from breezeblock.store.transaction import Tx


class BackendRow(msgspec.Struct, frozen=True):
    """Field order = column order of the backends table."""

    id: str
    name: str
    host: str
    driver: str
    availability_zone: str
    host_bound: bool
    capabilities: str
    state: str
    reason: str
    enabled: bool
    disabled_reason: str | None
    frozen: bool
    updated_at: str

    @property
    def queue(self) -> str:
        return f"backend/{self.id}@{self.host}" if self.host_bound else f"backend/{self.id}"


class PoolRow(msgspec.Struct, frozen=True):
    """A pool with its newest report (JSON of drivers' PoolReport) and what is reserved in it. `volumes` and `allocated_gib` are what the
    database had there at that report and what was promised since; a delete is seen at the next one."""

    id: str
    name: str
    backend: BackendRow
    report: Mapping[str, Any]
    reserved_bytes: int
    volumes: int
    allocated_gib: int
    updated_at: str

    @property
    def host(self) -> str:
        return f"{self.backend.host}@{self.backend.name}#{self.name}"


_BACKEND = Prepared(select(backends).where(backends.c.id == bindparam("wanted")))
_BACKENDS = Prepared(select(backends).order_by(backends.c.host, backends.c.name))
_POOLS = select(pools).order_by(pools.c.id)
_POOLS_READ, _POOLS_LOCKED = Prepared(_POOLS), locking(_POOLS)
_RESERVED = Prepared(
    select(reservations.c.pool_id, func.sum(reservations.c.bytes), func.count()).group_by(
        reservations.c.pool_id
    )
)
_PLACED = Prepared(
    select(volumes.c.pool, func.count(), func.sum(volumes.c.size))
    .where(volumes.c.backend_id == bindparam("backend"), volumes.c.status != "creating")
    .group_by(volumes.c.pool)
)
_RESERVATION = reservations.c.id == bindparam("wanted")
_TAKE_BACK = Prepared(delete(reservations).where(_RESERVATION))
_END = Prepared(update(reservations).where(_RESERVATION).values(ended_us=bindparam("now")))
_FORGET = Prepared(delete(decisions).where(decisions.c.resource_id == bindparam("wanted")))


def backend(tx: Tx, id: str) -> BackendRow | None:
    row = tx.row(_BACKEND, {"wanted": id})
    return None if row is None else BackendRow(*row)


def all_backends(tx: Tx) -> list[BackendRow]:
    return [BackendRow(*row) for row in tx.rows(_BACKENDS)]


def register(tx: Tx, values: Mapping[str, Any]) -> BackendRow:
    """Make or refresh a backend's row; what an operator set (enabled, frozen) stays."""
    row = {
        "enabled": True,
        "disabled_reason": None,
        "frozen": False,
        "reason": "",
        "updated_at": tx.now,
        **values,
    }
    before = backend(tx, str(values["id"]))
    upsert(tx, backends, ("id",), [row], keep=("enabled", "disabled_reason", "frozen"))
    found = backend(tx, str(values["id"]))
    assert found is not None
    if before is None or (before.host, before.name) != (found.host, found.name):
        renamed(tx)
    return found


def write_backend(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(update(backends).where(backends.c.id == id).values(updated_at=tx.now, **values))


def report(tx: Tx, backend_id: str, reports: Sequence[tuple[str, Mapping[str, Any], int]]) -> None:
    """(pool name, report, sampled_us by the database's clock) of a backend; pools that are not named any more go. Older reports lose."""
    known = {
        r.name: r.sampled_us
        for r in tx.rows(select(pools.c.name, pools.c.sampled_us).where(pools.c.backend_id == backend_id))
    }
    fresh = [one for one in reports if known.get(one[0], -1) <= one[2]]
    for name, _, sampled_us in fresh:
        tx.execute(
            delete(reservations).where(
                reservations.c.pool_id == f"{backend_id}#{name}",
                reservations.c.ended_us.is_not(None),
                reservations.c.ended_us < sampled_us,
            )
        )
    # after the promises: a volume whose promise has just gone must be among them
    there = {
        pool: (int(number), int(size)) for pool, number, size in tx.rows(_PLACED, {"backend": backend_id})
    }
    for name, body, sampled_us in fresh:
        row = {
            "id": f"{backend_id}#{name}",
            "backend_id": backend_id,
            "name": name,
            "report": msgspec.json.encode(body).decode(),
            "sampled_us": sampled_us,
            "volumes": there.get(name, (0, 0))[0],
            "allocated_gib": there.get(name, (0, 0))[1],
            "updated_at": tx.now,
        }
        upsert(tx, pools, ("id",), [row])
    gone = [name for name in known if name not in {n for n, _, _ in reports}]
    if gone:
        tx.execute(delete(pools).where(pools.c.backend_id == backend_id, pools.c.name.in_(gone)))


def page(tx: Tx, *, lock: bool = False) -> list[PoolRow]:
    """Every pool; costs nothing that grows with the number of volumes. `lock`: nobody else places until this transaction ends."""
    rows = tx.rows(_POOLS_LOCKED if lock else _POOLS_READ)
    by_id = {b.id: b for b in all_backends(tx)}
    reserved = {pool_id: (int(promised), int(times)) for pool_id, promised, times in tx.rows(_RESERVED)}
    found = []
    for id, backend_id, name, report, _, number, allocated_gib, updated_at in rows:
        promised, times = reserved.get(id, (0, 0))
        found.append(
            PoolRow(
                id=id,
                name=name,
                backend=by_id[backend_id],
                report=msgspec.json.decode(report),
                reserved_bytes=promised,
                volumes=int(number) + times,
                allocated_gib=int(allocated_gib) + -(-promised // GiB),
                updated_at=updated_at,
            )
        )
    return found


def reserve(tx: Tx, id: str, pool_id: str, size: int) -> None:
    """Promise `size` bytes of a pool to an operation's round (id)."""
    upsert(tx, reservations, ("id",), [{"id": id, "pool_id": pool_id, "bytes": size, "ended_us": None}])


def settle(tx: Tx, id: str, *, gone: bool = False) -> None:
    """The operation has ended: the next report decides; or (gone) nothing was made and the promise is taken back now."""
    if gone:
        tx.run(_TAKE_BACK, {"wanted": id})
    else:
        tx.run(_END, {"wanted": id, "now": tx.now_us()})


def settle_all(tx: Tx, operation_id: str) -> None:
    """The promises of every round of an operation that is ended from outside: the next report tells what was made."""
    mine = reservations.c.id.startswith(f"{operation_id}:")
    tx.execute(
        update(reservations).where(mine, reservations.c.ended_us.is_(None)).values(ended_us=tx.now_us())
    )


def keep_decision(tx: Tx, id: str, resource_id: str, operation_id: str, decision: bytes) -> None:
    upsert(
        tx,
        decisions,
        ("id",),
        [
            {
                "id": id,
                "resource_id": resource_id,
                "operation_id": operation_id,
                "decision": decision.decode(),
                "created_at": tx.now,
            }
        ],
    )


def decision_of(tx: Tx, resource_id: str) -> tuple[str, str] | None:
    """(decision JSON, when) of the newest placement of a resource."""
    row = tx.row(
        select(decisions.c.decision, decisions.c.created_at)
        .where(decisions.c.resource_id == resource_id)
        .order_by(decisions.c.created_at.desc())
        .limit(1)
    )
    return None if row is None else (row.decision, row.created_at)


_HOLDS = Prepared(
    select(volumes.c.id)
    .where(
        volumes.c.backend_id == bindparam("backend"), volumes.c.object.is_not(None), volumes.c.object != ""
    )
    .limit(1)
)


def objects(tx: Tx, backend_id: str) -> dict[str, str]:
    """id -> driver Object (JSON) of every volume and snapshot that the database knows on a backend."""
    found = {
        r.id: r.object
        for r in tx.rows(select(volumes.c.id, volumes.c.object).where(volumes.c.backend_id == backend_id))
    }
    found |= {
        r.id: r.object
        for r in tx.rows(
            select(snapshots.c.id, snapshots.c.object)
            .join(volumes, volumes.c.id == snapshots.c.volume_id)
            .where(volumes.c.backend_id == backend_id)
        )
    }
    return {id: body for id, body in found.items() if body}


def holds_volumes(tx: Tx, backend_id: str) -> bool:
    """Whether anything that the database knows lies on a backend."""
    return tx.row(_HOLDS, {"backend": backend_id}) is not None


def forget(tx: Tx, resource_id: str) -> None:
    """The resource has gone: its decisions go with its rows, the operation's history keeps them told."""
    tx.run(_FORGET, {"wanted": resource_id})

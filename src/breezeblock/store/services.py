# SPDX-License-Identifier: Apache-2.0
"""Who is there: processes with their queues (the engine's view) and service rows (the API's view)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select, update

from breezeblock.store import pools
from breezeblock.store.schema import processes, services
from breezeblock.store.sql import upsert
from breezeblock.store.transaction import Tx


class ServiceRow(msgspec.Struct, frozen=True):
    """Field order = column order; `age_seconds` since it was last seen, by the database's clock."""

    id: str
    binary: str
    host: str
    backend_id: str | None
    availability_zone: str
    disabled: bool
    disabled_reason: str | None
    created_at: str
    updated_at: str
    age_seconds: float


def seen(
    tx: Tx, process_id: str, *, host: str, pid: int, roles: str, queues: Sequence[str], started_at: str
) -> None:
    """This process is alive and serves these queues."""
    now = tx.now_us()
    row = {
        "id": process_id,
        "host": host,
        "pid": pid,
        "roles": roles,
        "queues": msgspec.json.encode(list(queues)).decode(),
        "started_at": started_at,
        "seen_us": now,
    }
    upsert(tx, processes, ("id",), [row], keep=("started_at",))


def gone(tx: Tx, process_id: str) -> None:
    tx.execute(delete(processes).where(processes.c.id == process_id))


def forget_silent(tx: Tx, silent_us: int) -> None:
    tx.execute(delete(processes).where(processes.c.seen_us < tx.now_us() - silent_us))


def served_queues(tx: Tx, silent_us: int) -> set[str]:
    """Queues that a process seen within `silent_us` serves."""
    rows = tx.rows(select(processes.c.queues).where(processes.c.seen_us >= tx.now_us() - silent_us))
    return {queue for row in rows for queue in msgspec.json.decode(row.queues)}


def beat(tx: Tx, binary: str, host: str, *, availability_zone: str, backend_id: str | None = None) -> None:
    """A service row is made or refreshed; what an operator set stays."""
    row: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "binary": binary,
        "host": host,
        "backend_id": backend_id,
        "availability_zone": availability_zone,
        "disabled": False,
        "disabled_reason": None,
        "created_at": tx.now,
        "updated_at": tx.now,
        "seen_us": tx.now_us(),
    }
    upsert(tx, services, ("binary", "host"), [row], keep=("id", "disabled", "disabled_reason", "created_at"))


def page(tx: Tx) -> list[ServiceRow]:
    now = tx.now_us()
    names = [n for n in ServiceRow.__struct_fields__ if n != "age_seconds"]
    rows = tx.rows(
        select(*[services.c[n] for n in names], services.c.seen_us).order_by(
            services.c.binary, services.c.host
        )
    )
    return [ServiceRow(*(*row[:-1], (now - row.seen_us) / 1e6)) for row in rows]


def switch(tx: Tx, service: ServiceRow, *, disabled: bool, reason: str | None) -> None:
    """A service takes new work, or does not. Its backend follows: that is what the scheduler looks at."""
    tx.execute(
        update(services)
        .where(services.c.id == service.id)
        .values(disabled=disabled, disabled_reason=reason if disabled else None)
    )
    if service.backend_id is not None:
        pools.write_backend(
            tx, service.backend_id, enabled=not disabled, disabled_reason=reason if disabled else None
        )

# SPDX-License-Identifier: Apache-2.0
"""Debts: undo steps that are owed to a backend or host that did not answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, select, update

from breezeblock.store.schema import debts
from breezeblock.store.sql import locked
from breezeblock.store.transaction import Tx

#: a debt that could not be paid is tried again after so long.
AGAIN_US = 600 * 1_000_000


class Debt(msgspec.Struct, frozen=True):
    id: str
    queue: str
    operation_id: str
    kind: str
    task: str
    resource_id: str
    project_id: str
    args: dict[str, Any]
    intent: Any
    result: Any
    #: of the tasks before it.
    results: dict[str, Any]


def due(tx: Tx, queues: Sequence[str], limit: int = 20) -> list[Debt]:
    """Debts of these queues that no operation pays yet, oldest first; those that another process is about to assign are passed over."""
    rows = tx.rows(
        locked(
            tx,
            select(debts)
            .where(debts.c.queue.in_(queues), debts.c.not_before_us <= tx.now_us())
            .order_by(debts.c.created_at)
            .limit(limit),
            skip=True,
        )
    )
    found = []
    for row in rows:
        work = msgspec.json.decode(row.work)
        found.append(
            Debt(
                row.id,
                row.queue,
                row.operation_id,
                row.kind,
                row.task,
                work["resource_id"],
                work["project_id"],
                work["args"],
                work["intent"],
                work.get("result"),
                work.get("results") or {},
            )
        )
    return found


def assign(tx: Tx, id: str, operation_id: str | None) -> None:
    """An operation pays it now (None: it could not, and tries again later)."""
    not_before = 2**62 if operation_id is not None else tx.now_us() + AGAIN_US
    tx.execute(
        update(debts).where(debts.c.id == id).values(not_before_us=not_before, attempt=debts.c.attempt + 1)
    )


def strike(tx: Tx, id: str) -> None:
    tx.execute(delete(debts).where(debts.c.id == id))

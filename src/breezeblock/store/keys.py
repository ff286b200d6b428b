# SPDX-License-Identifier: Apache-2.0
"""Keys: how operations that touch one object without excluding each other by status wait for one another. Declared at submit, shared or
exclusive; granted in order of submission, all of an operation's keys or none, never past an older waiter that conflicts; released when
the operation ends. A pin ("pin/volume/<id>") says that an operation reads the object: delete's compare-and-swap sees it.

Two transactions that grant at the same moment must see each other. SQLite has one writer; elsewhere both lock the same gate rows (a
fixed set, taken in order) before they look: those of their own keys, and a release also those of every other key that its waiters want,
else two releases that each free one of a waiter's two keys would both leave it waiting for the other."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import and_, delete, exists, insert, or_, select, update

from breezeblock.store.schema import counters, operation_keys, operations
from breezeblock.store.sql import locked
from breezeblock.store.transaction import Tx

GATES = 32


def gate_names() -> list[str]:
    return [f"gate/{n:02d}" for n in range(GATES)]


def declare(tx: Tx, operation_id: str, seq: int, keys: Mapping[str, bool]) -> bool:
    """`keys`: name -> exclusive. True when all were granted at once."""
    if not keys:
        return True
    _pass_gates(tx, keys)
    tx.execute(
        insert(operation_keys),
        [
            {"operation_id": operation_id, "key": key, "exclusive": exclusive, "granted": False, "seq": seq}
            for key, exclusive in sorted(keys.items())
        ],
    )
    return _grant(tx, operation_id)


def release(tx: Tx, operation_id: str) -> None:
    """Take the operation's keys back and let the oldest waiters that now can, go on."""
    mine = [
        row.key
        for row in tx.rows(select(operation_keys.c.key).where(operation_keys.c.operation_id == operation_id))
    ]
    if not mine:
        return
    wanted = set(mine) | set(_wanted_by_waiters(tx, mine))
    _pass_gates(tx, wanted)
    if tx.dialect != "sqlite":  # who came while we waited at the gates; none can come any more
        late = set(_wanted_by_waiters(tx, mine)) - wanted
        if late:
            _pass_gates(tx, late)
    tx.execute(delete(operation_keys).where(operation_keys.c.operation_id == operation_id))
    waiting = tx.rows(
        select(operation_keys.c.operation_id, operation_keys.c.seq)
        .where(operation_keys.c.key.in_(mine), operation_keys.c.granted.is_(False))
        .distinct()
        .order_by(operation_keys.c.seq)
    )
    for row in waiting:
        if _grant(tx, row.operation_id):
            tx.execute(update(operations).where(operations.c.id == row.operation_id).values(blocked=False))
            queue = tx.row(select(operations.c.queue).where(operations.c.id == row.operation_id))
            if queue is not None:
                tx.ring(queue.queue)


def pinned_by(tx: Tx, key: str) -> str | None:
    """The oldest operation that pins the object ("volume/<id>" or "snapshot/<id>")."""
    row = tx.row(
        select(operation_keys.c.operation_id)
        .where(operation_keys.c.key == f"pin/{key}")
        .order_by(operation_keys.c.seq)
        .limit(1)
    )
    return None if row is None else str(row.operation_id)


def blockers(tx: Tx, operation_id: str) -> Sequence[tuple[str, str]]:
    """(key, operation) pairs that a blocked operation waits for."""
    mine, other = operation_keys.alias("mine"), operation_keys.alias("other")
    found = tx.rows(
        select(other.c.key, other.c.operation_id)
        .where(
            mine.c.operation_id == operation_id,
            other.c.key == mine.c.key,
            other.c.operation_id != operation_id,
            or_(mine.c.exclusive, other.c.exclusive),
            or_(other.c.granted, other.c.seq < mine.c.seq),
        )
        .order_by(other.c.seq)
    )
    return [(row.key, row.operation_id) for row in found]


def _grant(tx: Tx, operation_id: str) -> bool:
    mine, other = operation_keys.alias("mine"), operation_keys.alias("other")
    conflict = exists(
        select(other.c.key).where(
            other.c.key == mine.c.key,
            other.c.operation_id != mine.c.operation_id,
            or_(mine.c.exclusive, other.c.exclusive),
            or_(other.c.granted, other.c.seq < mine.c.seq),
        )
    )
    blocked = tx.row(select(mine.c.key).where(and_(mine.c.operation_id == operation_id, conflict)).limit(1))
    if blocked is not None:
        return False
    tx.execute(
        update(operation_keys).where(operation_keys.c.operation_id == operation_id).values(granted=True)
    )
    return True


def _wanted_by_waiters(tx: Tx, keys: Sequence[str]) -> list[str]:
    """Every key of the operations that wait for one of these."""
    waiter, other = operation_keys.alias("waiter"), operation_keys.alias("other")
    rows = tx.rows(
        select(other.c.key)
        .where(
            waiter.c.key.in_(keys), waiter.c.granted.is_(False), other.c.operation_id == waiter.c.operation_id
        )
        .distinct()
    )
    return [row.key for row in rows]


def _pass_gates(tx: Tx, keys: Iterable[str]) -> None:
    if tx.dialect == "sqlite":
        return
    wanted = sorted({f"gate/{zlib.crc32(key.encode()) % GATES:02d}" for key in keys})
    tx.rows(locked(tx, select(counters.c.name).where(counters.c.name.in_(wanted)).order_by(counters.c.name)))

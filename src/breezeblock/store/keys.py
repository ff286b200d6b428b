# SPDX-License-Identifier: Apache-2.0
"""Keys: how operations that touch one object without excluding each other by status wait for one another. Declared at submit, shared or
exclusive; granted in order of submission, all of an operation's keys or none, never past an older waiter that conflicts; released when
the operation ends. A pin ("pin/volume/<id>") says that an operation reads the object: delete's compare-and-swap sees it.

Two transactions that grant at the same moment must see each other. SQLite has one writer; elsewhere both lock the same gate rows (a
fixed set, taken in order) before they look: those of their own keys, and a release also those of every other key that its waiters want,
else two releases that each free one of a waiter's two keys would both leave it waiting for the other."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, or_, select, update

from breezeblock.store.prepared import Prepared, inserting, numbered
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
    tx.run_many(
        _DECLARE,
        [
            {"operation_id": operation_id, "key": key, "exclusive": exclusive, "granted": False, "seq": seq}
            for key, exclusive in sorted(keys.items())
        ],
    )
    return _grant(tx, operation_id)


def release(tx: Tx, operation_id: str) -> None:
    """Take the operation's keys back and let the oldest waiters that now can, go on."""
    mine = [row[0] for row in tx.rows(_KEYS, {"wanted": operation_id})]
    if not mine:
        return
    wanted = set(mine) | set(_wanted_by_waiters(tx, mine))
    _pass_gates(tx, wanted)
    if tx.dialect != "sqlite":  # who came while we waited at the gates; none can come any more
        late = set(_wanted_by_waiters(tx, mine)) - wanted
        if late:
            _pass_gates(tx, late)
    tx.run(_RELEASE, {"wanted": operation_id})
    for id, _ in tx.rows(_waiters(len(mine)), numbered("key", mine)):
        if _grant(tx, id):
            tx.run(_UNBLOCK, {"wanted": id})
            queue = tx.row(_QUEUE, {"wanted": id})
            if queue is not None:
                tx.ring(queue[0])


def pinned_by(tx: Tx, key: str) -> str | None:
    """The oldest operation that pins the object ("volume/<id>" or "snapshot/<id>")."""
    row = tx.row(_PINNED, {"pin": f"pin/{key}"})
    return None if row is None else str(row[0])


def blockers(tx: Tx, operation_id: str) -> list[tuple[str, str]]:
    """(key, operation) pairs that a blocked operation waits for."""
    return blockers_of(tx, [operation_id]).get(operation_id, [])


def blockers_of(tx: Tx, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """The same for many at once, by the operation that waits."""
    mine, other = operation_keys.alias("mine"), operation_keys.alias("other")
    rows = tx.rows(
        select(mine.c.operation_id.label("waiter"), other.c.key, other.c.operation_id)
        .where(
            mine.c.operation_id.in_(ids),
            other.c.key == mine.c.key,
            other.c.operation_id != mine.c.operation_id,
            or_(mine.c.exclusive, other.c.exclusive),
            or_(other.c.granted, other.c.seq < mine.c.seq),
        )
        .order_by(other.c.seq)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row.waiter, []).append((row.key, row.operation_id))
    return found


def _grant(tx: Tx, operation_id: str) -> bool:
    if tx.row(_CONFLICT, {"wanted": operation_id}) is not None:
        return False
    tx.run(_GRANT, {"wanted": operation_id})
    return True


def _conflicting() -> Select[Any]:
    """The keys of an operation that another one holds, or waits for since longer."""
    mine, other = operation_keys.alias("mine"), operation_keys.alias("other")
    conflict = exists(
        select(other.c.key).where(
            other.c.key == mine.c.key,
            other.c.operation_id != mine.c.operation_id,
            or_(mine.c.exclusive, other.c.exclusive),
            or_(other.c.granted, other.c.seq < mine.c.seq),
        )
    )
    return select(mine.c.key).where(mine.c.operation_id == bindparam("wanted"), conflict).limit(1)


_DECLARE = inserting(operation_keys)
_MINE = operation_keys.c.operation_id == bindparam("wanted")
_KEYS = Prepared(select(operation_keys.c.key).where(_MINE))
_RELEASE = Prepared(delete(operation_keys).where(_MINE))
_GRANT = Prepared(update(operation_keys).where(_MINE).values(granted=True))
_CONFLICT = Prepared(_conflicting())
_PINNED = Prepared(
    select(operation_keys.c.operation_id)
    .where(operation_keys.c.key == bindparam("pin"))
    .order_by(operation_keys.c.seq)
    .limit(1)
)


def _wanted_by_waiters(tx: Tx, keys: Sequence[str]) -> list[str]:
    """Every key of the operations that wait for one of these."""
    return [row[0] for row in tx.rows(_wanted(len(keys)), numbered("key", keys))]


@functools.cache
def _wanted(keys: int) -> Prepared:
    waiter, other = operation_keys.alias("waiter"), operation_keys.alias("other")
    return Prepared(
        select(other.c.key)
        .where(
            waiter.c.key.in_(_listed(keys)),
            waiter.c.granted.is_(False),
            other.c.operation_id == waiter.c.operation_id,
        )
        .distinct()
    )


@functools.cache
def _waiters(keys: int) -> Prepared:
    """Who waits for one of so many keys, the oldest first."""
    return Prepared(
        select(operation_keys.c.operation_id, operation_keys.c.seq)
        .where(operation_keys.c.key.in_(_listed(keys)), operation_keys.c.granted.is_(False))
        .distinct()
        .order_by(operation_keys.c.seq)
    )


def _listed(number: int) -> list[Any]:
    return [bindparam(f"key{n}") for n in range(number)]


_UNBLOCK = Prepared(update(operations).where(operations.c.id == bindparam("wanted")).values(blocked=False))
_QUEUE = Prepared(select(operations.c.queue).where(operations.c.id == bindparam("wanted")))


def _pass_gates(tx: Tx, keys: Iterable[str]) -> None:
    if tx.dialect == "sqlite":
        return
    wanted = sorted({f"gate/{zlib.crc32(key.encode()) % GATES:02d}" for key in keys})
    tx.rows(locked(tx, select(counters.c.name).where(counters.c.name.in_(wanted)).order_by(counters.c.name)))

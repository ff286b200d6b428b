# SPDX-License-Identifier: Apache-2.0
"""Operation rows: submit, claim, renew, give back. A claim takes the oldest rows of my queues whose lease is free or over, skipping what
others have locked, and raises the fence token; one statement renews all leases of a process. Only the database's clock is asked."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    update,
)

from breezeblock.flow.journal import Entry, Progress, Step
from breezeblock.store import keys as key_rows
from breezeblock.store.clock import NOW_US
from breezeblock.store.prepared import Prepared, inserting, numbered
from breezeblock.store.schema import counters, journal, operations
from breezeblock.store.transaction import Tx

INTERACTIVE, BULK = 0, 1

_encode = msgspec.json.encode


class NewOperation(msgspec.Struct, frozen=True, kw_only=True):
    """`keys`: name -> exclusive. `tasks` are stored so that a newer version finishes the work under the old names."""

    kind: str
    resource_type: str
    resource_id: str
    project_id: str
    user_id: str
    request_id: str
    queue: str
    tasks: Sequence[str]
    pivot: str | None = None
    args: Mapping[str, Any] = {}
    keys: Mapping[str, bool] = {}
    lane: int = BULK
    id: str = ""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that this process now owns, with its journal."""

    id: str
    kind: str
    resource_type: str
    resource_id: str
    project_id: str
    user_id: str
    request_id: str
    queue: str
    lane: int
    args: dict[str, Any]
    fence: int
    owner: str
    progress: Progress


def submit(tx: Tx, new: NewOperation) -> str:
    """Write the operation that will do the work; rings its queue after commit."""
    id = new.id or str(uuid.uuid4())
    tx.run(
        _SUBMIT,
        {
            "id": id,
            "kind": new.kind,
            "resource_type": new.resource_type,
            "resource_id": new.resource_id,
            "project_id": new.project_id,
            "user_id": new.user_id,
            "request_id": new.request_id,
            "args": _encode(new.args).decode(),
            "tasks": _encode(new.tasks).decode(),
            "pivot": new.pivot,
            "queue": new.queue,
            "lane": new.lane,
            "blocked": bool(new.keys),
            "undo_to": "",
            "round": 1,
            "task": "",
            "attempt": 1,
            "not_before_us": 0,
            "lease_owner": None,
            "lease_until_us": 0,
            "fence": 0,
            "cancel": False,
            "error": "",
            "failures": "[]",
            "progress_done": 0,
            "progress_total": 0,
            "created_at": tx.now,
            "started_at": None,
        },
    )
    if new.keys:
        made = tx.row(_SEQUENCE, {"wanted": id})
        assert made is not None
        if key_rows.declare(tx, id, int(made[0]), new.keys):
            tx.run(_UNBLOCK, {"wanted": id})
            tx.ring(new.queue)
    else:
        tx.ring(new.queue)
    return id


_SUBMIT = inserting(operations, without=("seq",))
_SEQUENCE = Prepared(select(operations.c.seq).where(operations.c.id == bindparam("wanted")))
_UNBLOCK = Prepared(update(operations).where(operations.c.id == bindparam("wanted")).values(blocked=False))


class _Free(msgspec.Struct, frozen=True, gc=False):
    """What a claim reads of an operation. Field order = column order of _free."""

    seq: int
    id: str
    kind: str
    resource_type: str
    resource_id: str
    project_id: str
    user_id: str
    request_id: str
    queue: str
    lane: int
    args: str
    undo_to: str
    round: int
    error: str
    failures: str
    cancel: bool
    started_at: str | None


@functools.cache
def _free(queues: int) -> Prepared:
    """Rows of so many queues that nobody works on, oldest first; those that others have locked are passed over."""

    def made(dialect: str) -> Select[Any]:
        now = _now(dialect)
        free = (
            select(*[operations.c[name] for name in _Free.__struct_fields__])
            .where(
                operations.c.queue.in_([bindparam(f"queue{n}") for n in range(queues)]),
                operations.c.lane == bindparam("lane"),
                operations.c.blocked.is_(False),
                operations.c.not_before_us <= now,
                operations.c.lease_until_us <= now,
            )
            .order_by(operations.c.seq)
            .limit(bindparam("most", type_=Integer))
        )
        return free if dialect == "sqlite" else free.with_for_update(skip_locked=True)

    return Prepared(made)


@functools.cache
def _take(number: int) -> Prepared:
    """So many rows become one owner's."""

    def made(dialect: str) -> Update:
        return (
            update(operations)
            .where(operations.c.seq.in_([bindparam(f"row{n}") for n in range(number)]))
            .values(
                lease_owner=bindparam("me"),
                lease_until_us=_now(dialect) + bindparam("lease", type_=BigInteger),
                fence=bindparam("token"),
                started_at=func.coalesce(operations.c.started_at, bindparam("at")),
            )
        )

    return Prepared(made)


def _now(dialect: str) -> ColumnElement[int]:
    return literal_column(NOW_US[dialect], BigInteger)


_FENCE = counters.c.name == "fence"
_RAISE_TOKEN = Prepared(update(counters).where(_FENCE).values(value=counters.c.value + 1))
_TOKEN = Prepared(select(counters.c.value).where(_FENCE))
_NEXT_TOKEN = Prepared(
    update(counters).where(_FENCE).values(value=counters.c.value + 1).returning(counters.c.value)
)


class Look(NamedTuple):
    """What there is for some queues: lanes in which something may be claimed now, and the seconds until something else may."""

    lanes: frozenset[int] = frozenset()
    due: float | None = None


def look(tx: Tx, queues: Sequence[str]) -> Look:
    """It locks nothing, and another process may be quicker."""
    rows = tx.rows(_look(len(queues)), numbered("queue", queues)) if queues else ()
    later = [max(0.0, (int(next) - int(now)) / 1e6) for _, _, next, now in rows if next is not None]
    return Look(frozenset(int(lane) for lane, free, _, _ in rows if free), min(later, default=None))


def soonest(tx: Tx, queues: Sequence[str]) -> float | None:
    """Seconds until the next waiting operation of my queues may be claimed; None: nothing waits."""
    return look(tx, queues).due


@functools.cache
def _look(queues: int) -> Prepared:
    """By lane: how many are due, when the first of the others is, and what time it is."""

    def made(dialect: str) -> Select[Any]:
        now = _now(dialect)
        due = case(
            (operations.c.not_before_us > operations.c.lease_until_us, operations.c.not_before_us),
            else_=operations.c.lease_until_us,
        )
        return (
            select(
                operations.c.lane,
                func.sum(case((due <= now, 1), else_=0)),
                func.min(case((due > now, due))),
                func.max(now),
            )
            .where(
                operations.c.queue.in_([bindparam(f"queue{n}") for n in range(queues)]),
                operations.c.blocked.is_(False),
            )
            .group_by(operations.c.lane)
        )

    return Prepared(made)


def claim(tx: Tx, owner: str, queues: Sequence[str], lane: int, limit: int, lease_us: int) -> list[Claimed]:
    """Up to `limit` operations of one lane, oldest first."""
    if not queues:
        return []
    asked = {"lane": lane, "most": limit, **numbered("queue", queues)}
    found = [_Free(*row) for row in tx.rows(_free(len(queues)), asked)]
    if not found:
        return []
    token = next_token(tx)
    mine = numbered("row", [row.seq for row in found])
    tx.run(_take(len(found)), {"me": owner, "lease": lease_us, "token": token, "at": tx.now, **mine})
    seen = [row.id for row in found if row.started_at is not None]
    entries: dict[str, list[Entry]] = {}
    if seen:
        for e in tx.rows(select(journal).where(journal.c.operation_id.in_(seen))):
            entries.setdefault(e.operation_id, []).append(
                Entry(e.round, e.task, Step(e.step), _plain(e.intent), _plain(e.result), e.attempt)
            )
    return [
        Claimed(
            id=row.id,
            kind=row.kind,
            resource_type=row.resource_type,
            resource_id=row.resource_id,
            project_id=row.project_id,
            user_id=row.user_id,
            request_id=row.request_id,
            queue=row.queue,
            lane=row.lane,
            args=_plain(row.args),
            fence=token,
            owner=owner,
            progress=Progress(
                entries.get(row.id, ()),
                row.round,
                row.undo_to,
                _plain(row.error),
                _plain(row.failures) or [],
                bool(row.cancel),
            ),
        )
        for row in found
    ]


def next_token(tx: Tx) -> int:
    """The next fence token. One sequence for all resources: a later owner of anything has a higher token than an earlier
    one. The operations of one claim share a token: they are one owner's, and keys keep two of them off one object."""
    row = tx.row(_NEXT_TOKEN) if tx.dialect not in ("mysql", "mariadb") else None
    if row is None:  # UPDATE has no RETURNING there; the first statement locks the row
        tx.run(_RAISE_TOKEN)
        row = tx.row(_TOKEN)
    assert row is not None, "the database was not initialised"
    return int(row[0])


def renew(tx: Tx, owner: str, lease_us: int) -> list[str]:
    """One statement for all leases of this process. Returns the ids of those whose cancel is requested."""
    tx.execute(
        update(operations)
        .where(operations.c.lease_owner == owner, operations.c.lease_until_us > 0)
        .values(lease_until_us=tx.now_us() + lease_us)
    )
    return [
        row.id
        for row in tx.rows(
            select(operations.c.id).where(operations.c.lease_owner == owner, operations.c.cancel.is_(True))
        )
    ]


def give_back(tx: Tx, id: str, owner: str, fence: int, after_us: int) -> None:
    """Release one lease, if it is still this one; claimable again after so many microseconds."""
    tx.execute(
        update(operations)
        .where(operations.c.id == id, operations.c.lease_owner == owner, operations.c.fence == fence)
        .values(lease_owner=None, lease_until_us=0, not_before_us=tx.now_us() + after_us if after_us else 0)
    )


def release_all(tx: Tx, owner: str | None) -> int:
    """Give every lease of a process back (None: of all processes; only the sole owner of an embedded database may say that)."""
    mine = operations.c.lease_until_us > 0
    if owner is not None:
        mine = and_(mine, operations.c.lease_owner == owner)
    return int(tx.execute(update(operations).where(mine).values(lease_owner=None, lease_until_us=0)).rowcount)


def report(tx: Tx, id: str, owner: str, done: int, total: int) -> None:
    """Bytes done; written at most once a second by the engine."""
    tx.execute(
        update(operations)
        .where(operations.c.id == id, operations.c.lease_owner == owner)
        .values(progress_done=done, progress_total=total)
    )


def request_cancel(tx: Tx, id: str) -> bool:
    """Ask the owner to stop and undo; an operation that nobody runs is made claimable at once."""
    row = tx.row(select(operations.c.queue, operations.c.blocked).where(operations.c.id == id))
    if row is None:
        return False
    tx.execute(
        update(operations).where(operations.c.id == id).values(cancel=True, not_before_us=0, blocked=False)
    )
    tx.ring(row.queue)
    return True


def past_pivot(tx: Tx, id: str) -> bool:
    """Has the operation entered its pivot in this round? Then it may have happened, and only forward is left."""
    row = tx.row(select(operations.c.pivot, operations.c.round).where(operations.c.id == id))
    if row is None or row.pivot is None:
        return False
    entry = tx.row(
        select(journal.c.step).where(
            journal.c.operation_id == id, journal.c.round == row.round, journal.c.task == row.pivot
        )
    )
    return entry is not None and entry.step in (Step.INTENT, Step.DONE)


def unfinished_tasks(tx: Tx) -> list[tuple[str, list[str]]]:
    """(kind, task names) of every operation that is not finished: start-up refuses when a name is gone."""
    return [
        (row.kind, msgspec.json.decode(row.tasks))
        for row in tx.rows(select(operations.c.kind, operations.c.tasks).distinct())
    ]


def _plain(text: str) -> Any:
    return msgspec.json.decode(text) if text else None

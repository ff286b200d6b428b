# SPDX-License-Identifier: Apache-2.0
"""Operations as people see them: the running ones and, with their timelines, the finished ones. Finishing moves the rows into one history
document, so that the tables the engine claims from stay small."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, false, or_, select

from breezeblock.model.errors import NotFound
from breezeblock.model.operation import Operation, OperationProgress, TimelineEntry
from breezeblock.store import keys
from breezeblock.store.prepared import Prepared, inserting
from breezeblock.store.schema import history, journal, operations, processes
from breezeblock.store.sql import locking
from breezeblock.store.transaction import Tx


def _rows_of(table: Table) -> Any:
    """Makes a tuple of all columns one that knows their names."""
    return namedtuple(table.name, table.columns.keys())


_Row, _Entry = _rows_of(operations), _rows_of(journal)

#: locked: its owner may be writing to its journal, or ending it, at this moment.
_OPERATION = locking(select(operations).where(operations.c.id == bindparam("wanted")))
_JOURNAL = Prepared(select(journal).where(journal.c.operation_id == bindparam("wanted")))
_KEEP = inserting(history)
_FORGET_JOURNAL = Prepared(delete(journal).where(journal.c.operation_id == bindparam("wanted")))
_FORGET = Prepared(delete(operations).where(operations.c.id == bindparam("wanted")))

_decode_operation = msgspec.json.Decoder(Operation).decode


def finish(tx: Tx, id: str, state: str, error: dict[str, Any] | None) -> None:
    """Move an operation into history. The caller releases its keys."""
    found = tx.row(_OPERATION, {"wanted": id})
    if found is None:
        return
    row = _Row(*found)
    document = _described(row, state, _timeline(tx, row), held_by=None, waits_for=None)
    document = msgspec.structs.replace(
        document, error=error, finished_at=tx.now, task=None if state == "succeeded" else document.task
    )
    tx.run(
        _KEEP,
        {
            "id": id,
            "kind": row.kind,
            "resource_id": row.resource_id,
            "project_id": row.project_id,
            "state": state,
            "document": msgspec.json.encode(document).decode(),
            "finished_at": tx.now,
        },
    )
    tx.run(_FORGET_JOURNAL, {"wanted": id})
    tx.run(_FORGET, {"wanted": id})


def get(tx: Tx, id: str, project_id: str | None) -> Operation:
    """With its timeline. Raises NotFound, also for another project's (project_id None: any)."""
    row = tx.row(select(operations).where(operations.c.id == id))
    if row is not None:
        (found,) = _shown(tx, [row], timeline=True)
    else:
        old = tx.row(select(history.c.document).where(history.c.id == id))
        if old is None:
            raise NotFound(f"Operation {id} could not be found")
        found = _decode_operation(old.document)
    if project_id is not None and found.project_id != project_id:
        raise NotFound(f"Operation {id} could not be found")
    return found


def find_running(tx: Tx, id: str) -> str | None:
    """The kind of an operation that has not finished; None when it has, or never was."""
    row = tx.row(select(operations.c.kind).where(operations.c.id == id))
    return None if row is None else str(row.kind)


def running_args(tx: Tx, id: str) -> dict[str, Any]:
    """What an operation that has not finished was given; empty when it has, or never was."""
    row = tx.row(select(operations.c.args).where(operations.c.id == id))
    return {} if row is None else msgspec.json.decode(row.args, type=dict[str, Any])


def running_of(tx: Tx, kind: str, resource_id: str) -> str | None:
    """The id of an unfinished operation of this kind on a resource."""
    row = tx.row(
        select(operations.c.id)
        .where(operations.c.kind == kind, operations.c.resource_id == resource_id)
        .limit(1)
    )
    return None if row is None else str(row.id)


def page(
    tx: Tx,
    *,
    project_id: str | None,
    resource_id: str | None = None,
    state: str | None = None,
    kind: str | None = None,
    limit: int = 100,
    marker: str | None = None,
) -> list[Operation]:
    """Newest first: the running ones, then history. `marker` is the id of the last one seen."""
    found: list[Operation] = []
    conditions = []
    for column, value in (("project_id", project_id), ("resource_id", resource_id), ("kind", kind)):
        if value is not None:
            conditions.append((column, value))
    after = None
    if marker is not None:
        after = tx.row(select(history.c.finished_at, history.c.id).where(history.c.id == marker))
    running = None
    if state is not None:
        running = _CONDITIONS[state](tx.now_us()) if state in _CONDITIONS else false()
    if after is None:
        query = (
            select(operations)
            .where(*[operations.c[c] == v for c, v in conditions])
            .order_by(operations.c.seq.desc())
            .limit(limit)
        )
        if marker is not None:
            seen = tx.row(select(operations.c.seq).where(operations.c.id == marker))
            if seen is None:
                raise NotFound(f"Marker {marker} could not be found")
            query = query.where(operations.c.seq < seen.seq)
        if running is not None:
            query = query.where(running)
        found = _shown(tx, tx.rows(query), timeline=False)
    if len(found) < limit:
        old = select(history.c.document).where(*[history.c[c] == v for c, v in conditions])
        if state is not None:
            old = old.where(history.c.state == state)
        if after is not None:
            old = old.where(
                or_(
                    history.c.finished_at < after.finished_at,
                    and_(history.c.finished_at == after.finished_at, history.c.id < after.id),
                )
            )
        old = old.order_by(history.c.finished_at.desc(), history.c.id.desc()).limit(limit - len(found))
        found += [_decode_operation(row.document) for row in tx.rows(old)]
    return found


def counts(tx: Tx) -> dict[str, int]:
    """Unfinished operations by shown state."""
    out = {"ready": 0, "running": 0, "blocked": 0, "waiting": 0, "undoing": 0}
    now = tx.now_us()
    for row in tx.rows(
        select(
            operations.c.blocked,
            operations.c.undo_to,
            operations.c.lease_until_us,
            operations.c.not_before_us,
        )
    ):
        out[_state(row, now)] += 1
    return out


def purge(tx: Tx, before: str, limit: int = 1000) -> int:
    """Forget operations that finished before an instant; at most `limit` at a time."""
    ids = [
        r.id
        for r in tx.rows(
            select(history.c.id)
            .where(history.c.finished_at < before)
            .order_by(history.c.finished_at)
            .limit(limit)
        )
    ]
    if ids:
        tx.execute(delete(history).where(history.c.id.in_(ids)))
    return len(ids)


def _state(row: Any, now_us: int) -> str:
    if row.blocked:
        return "blocked"
    if row.undo_to:
        return "undoing"
    if row.lease_until_us > now_us:
        return "running"
    return "waiting" if row.not_before_us > now_us else "ready"


#: the same as SQL, by state.
_FORWARD = and_(operations.c.blocked.is_(False), operations.c.undo_to == "")
_CONDITIONS: dict[str, Callable[[int], ColumnElement[bool]]] = {
    "blocked": lambda now: operations.c.blocked.is_(True),
    "undoing": lambda now: and_(operations.c.blocked.is_(False), operations.c.undo_to != ""),
    "running": lambda now: and_(_FORWARD, operations.c.lease_until_us > now),
    "waiting": lambda now: and_(
        _FORWARD, operations.c.lease_until_us <= now, operations.c.not_before_us > now
    ),
    "ready": lambda now: and_(
        _FORWARD, operations.c.lease_until_us <= now, operations.c.not_before_us <= now
    ),
}


def _shown(tx: Tx, rows: Sequence[Any], *, timeline: bool) -> list[Operation]:
    """Unfinished operations with who holds them and what they wait for: one query for all of either, however many there are."""
    if not rows:
        return []
    now = tx.now_us()
    states = {row.id: _state(row, now) for row in rows}
    holders: dict[str, str] = {}
    if "running" in states.values():
        found = tx.rows(select(processes.c.id, processes.c.host, processes.c.pid))
        holders = {row.id: f"{row.host} pid {row.pid}" for row in found}
    blocked = [id for id, state in states.items() if state == "blocked"]
    waits = keys.blockers_of(tx, blocked) if blocked else {}
    return [
        _described(
            row,
            states[row.id],
            _timeline(tx, row) if timeline else [],
            held_by=holders.get(row.lease_owner) if states[row.id] == "running" else None,
            waits_for="; ".join(f"{key} (operation {other})" for key, other in waits.get(row.id, ())) or None,
        )
        for row in rows
    ]


def _described(
    row: Any, state: str, timeline: Sequence[TimelineEntry], *, held_by: str | None, waits_for: str | None
) -> Operation:
    return Operation(
        id=row.id,
        kind=row.kind,
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        project_id=row.project_id,
        request_id=row.request_id,
        state=state,
        queue=row.queue,
        lane="interactive" if row.lane == 0 else "bulk",
        task=row.task or None,
        tasks=msgspec.json.decode(row.tasks),
        pivot=row.pivot,
        attempt=row.attempt,
        round=row.round,
        progress=OperationProgress(row.progress_done, row.progress_total) if row.progress_total else None,
        error=msgspec.json.decode(row.error) if row.error else None,
        failures=msgspec.json.decode(row.failures),
        created_at=row.created_at,
        started_at=row.started_at,
        held_by=held_by,
        waits_for=waits_for,
        timeline=timeline,
    )


def _timeline(tx: Tx, operation: Any) -> Sequence[TimelineEntry]:
    """Of a row of operations. Tasks of one transaction have one time: then their order in the flow counts."""
    order = {task: at for at, task in enumerate(msgspec.json.decode(operation.tasks))}
    rows = sorted(
        (_Entry(*row) for row in tx.rows(_JOURNAL, {"wanted": operation.id})),
        key=lambda entry: (entry.round, entry.started_at, order.get(entry.task, len(order))),
    )
    return [
        TimelineEntry(
            task=r.task,
            round=r.round,
            state=r.step,
            at=r.updated_at,
            started_at=r.started_at,
            seconds=round(
                (datetime.fromisoformat(r.updated_at) - datetime.fromisoformat(r.started_at)).total_seconds(),
                6,
            ),
            attempt=r.attempt,
            data={"intent": msgspec.json.decode(r.intent), "result": msgspec.json.decode(r.result)},
        )
        for r in rows
    ]

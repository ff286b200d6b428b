# SPDX-License-Identifier: Apache-2.0
"""Snapshot rows: reads, pages, compare-and-swap of the status, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update

from breezeblock.model import status as states
from breezeblock.model.errors import NotFound, WrongStatus
from breezeblock.model.paging import PageQuery
from breezeblock.model.snapshot import Snapshot
from breezeblock.store.paging import Pages, filtered
from breezeblock.store.prepared import Prepared
from breezeblock.store.schema import snapshots, volumes
from breezeblock.store.sql import locked, locking
from breezeblock.store.transaction import Tx

_STORED = {"metadata_json": "metadata", "object_json": "object"}
_COLUMNS = [snapshots.c[_STORED.get(name, name)] for name in Snapshot.__struct_fields__]
_SELECT = select(*_COLUMNS)
_WITH_VOLUME = _SELECT.join(volumes, volumes.c.id == snapshots.c.volume_id)
_GET = Prepared(_SELECT.where(snapshots.c.id == bindparam("wanted")))
_LOCK = locking(select(snapshots.c.id).where(snapshots.c.id == bindparam("wanted")))
_OF_VOLUME = Prepared(
    _SELECT.where(snapshots.c.volume_id == bindparam("volume")).order_by(
        snapshots.c.created_at, snapshots.c.id
    )
)
COLUMNS: Mapping[str, ColumnElement[Any]] = {
    name: snapshots.c[_STORED.get(name, name)] for name in Snapshot.__struct_fields__
} | {"metadata": snapshots.c.metadata, "availability_zone": volumes.c.availability_zone}

_PAGES = Pages(_WITH_VOLUME, COLUMNS, noun="Snapshot")


def find(tx: Tx, id: str, project_id: str | None = None) -> Snapshot | None:
    row = tx.row(_GET, {"wanted": id})
    found = None if row is None else Snapshot(*row)
    return None if found is None or (project_id is not None and found.project_id != project_id) else found


def get(tx: Tx, id: str, project_id: str | None = None) -> Snapshot:
    found = find(tx, id, project_id)
    if found is None:
        raise NotFound(f"Snapshot {id} could not be found")
    return found


def lock(tx: Tx, id: str, project_id: str | None = None) -> Snapshot:
    """As get, and nobody else changes the row until this transaction ends: for who pins it."""
    if tx.dialect != "sqlite":
        tx.row(_LOCK, {"wanted": id})
    return get(tx, id, project_id)


def of_volume(tx: Tx, volume_id: str) -> list[Snapshot]:
    """Oldest first."""
    return [Snapshot(*row) for row in tx.rows(_OF_VOLUME, {"volume": volume_id})]


def page(tx: Tx, query: PageQuery) -> list[Snapshot]:
    return [Snapshot(*row) for row in _PAGES.rows(tx, query)]


def count(tx: Tx, query: PageQuery) -> int:
    base = select(func.count()).select_from(snapshots.join(volumes, volumes.c.id == snapshots.c.volume_id))
    return int(tx.execute(filtered(tx, base, COLUMNS, query)).scalar_one())


def create(tx: Tx, values: Mapping[str, Any]) -> None:
    tx.execute(
        insert(snapshots),
        {
            "name": None,
            "description": None,
            "progress": "0%",
            "volume_type_id": None,
            "group_snapshot_id": None,
            "consumes_quota": True,
            "metadata": "{}",
            "object": "",
            "operation_id": None,
            "status_since": tx.now,
            "version": 1,
            "created_at": tx.now,
            "updated_at": None,
            **values,
        },
    )


def write(tx: Tx, id: str, **values: Any) -> None:
    assert "status" not in values, "a status is written by begin, settle or reset"
    _update(tx, id, values)


def begin(
    tx: Tx,
    id: str,
    verb: str,
    *,
    project_id: str | None = None,
    operation_id: str | None = None,
    force: bool = False,
) -> bool:
    """Compare-and-swap by model.status; a member of a group snapshot is never touched alone."""
    move = states.SNAPSHOT_MOVES[verb]
    mine = [snapshots.c.project_id == project_id] if project_id is not None else []
    done = tx.execute(
        update(snapshots)
        .where(
            snapshots.c.id == id,
            snapshots.c.status.in_(states.allowed(move, force=force)),
            snapshots.c.group_snapshot_id.is_(None),
            *mine,
        )
        .values(
            operation_id=operation_id,
            status_since=tx.now,
            updated_at=tx.now,
            version=snapshots.c.version + 1,
            status=move.to or snapshots.c.status,
        )
    )
    return int(done.rowcount) == 1


def settle(tx: Tx, id: str, status: str, **values: Any) -> None:
    _update(tx, id, {"operation_id": None, "status_since": tx.now, "status": status, **values})


def refuse(snapshot: Snapshot, verb: str) -> WrongStatus:
    move = states.SNAPSHOT_MOVES[verb]
    wanted = " or ".join(sorted(move.frm))
    return WrongStatus(
        f"Invalid snapshot: {verb} of snapshot {snapshot.id}: status must be {wanted}",
        needed=f"status {wanted}",
        had=f"status {snapshot.status}"
        + (", member of a group snapshot" if snapshot.group_snapshot_id else ""),
    )


def remove(tx: Tx, id: str) -> None:
    tx.execute(delete(snapshots).where(snapshots.c.id == id))


def set_metadata(
    tx: Tx, id: str, change: Mapping[str, str | None], *, replace: bool = False
) -> dict[str, str]:
    """Merge (None removes a key) or replace. Returns all of it."""
    row = tx.row(locked(tx, select(snapshots.c.metadata).where(snapshots.c.id == id)))
    if row is None:
        raise NotFound(f"Snapshot {id} could not be found")
    merged: dict[str, str] = {} if replace else msgspec.json.decode(row[0])
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    _update(tx, id, {"metadata": msgspec.json.encode(merged).decode()})
    return merged


def _update(tx: Tx, id: str, values: Mapping[str, Any]) -> None:
    done = tx.execute(
        update(snapshots)
        .where(snapshots.c.id == id)
        .values(updated_at=tx.now, version=snapshots.c.version + 1, **values)
    )
    if done.rowcount != 1:
        raise NotFound(f"Snapshot {id} could not be found")

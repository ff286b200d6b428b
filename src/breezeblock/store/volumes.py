# SPDX-License-Identifier: Apache-2.0
"""Volume rows: reads, compare-and-swap of the status, metadata; lists (volume_lists) are asked here too. Every write raises the row's
version; a status is only written by a verb of model.status (begin/settle) or by reset."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from breezeblock.model import status as states
from breezeblock.model.errors import NotFound, WrongStatus
from breezeblock.model.volume import Volume
from breezeblock.store import attachments as attachment_rows
from breezeblock.store.prepared import Prepared, inserting
from breezeblock.store.schema import attachments, snapshots, volumes
from breezeblock.store.sql import locked, locking
from breezeblock.store.transaction import Tx
from breezeblock.store.volume_lists import COLUMNS as COLUMNS
from breezeblock.store.volume_lists import SELECT as SELECT
from breezeblock.store.volume_lists import count as count
from breezeblock.store.volume_lists import page as page
from breezeblock.store.volume_lists import summary as summary

_ATTACHED = Volume.__struct_fields__.index("attach_status")
_ROW = volumes.c.id == bindparam("wanted")
_GET = Prepared(SELECT.where(_ROW))
_LOCK = locking(select(volumes.c.id).where(_ROW))
_INSERT = inserting(volumes)
#: by field of a Volume: the column of the row that it is read from.
_READ_FROM = [name.removesuffix("_json") for name in Volume.__struct_fields__ if name != "attachments"]
_REMOVE = Prepared(delete(volumes).where(_ROW))


def find(tx: Tx, id: str, project_id: str | None = None) -> Volume | None:
    row = tx.row(_GET, {"wanted": id})
    if row is None or (project_id is not None and row[1] != project_id):
        return None
    return Volume(*row, *((attachment_rows.of_volume(tx, id),) if row[_ATTACHED] != "detached" else ()))


def get(tx: Tx, id: str, project_id: str | None = None) -> Volume:
    """Raises NotFound; also for a volume of another project (project_id None: any)."""
    volume = find(tx, id, project_id)
    if volume is None:
        raise NotFound(f"Volume {id} could not be found")
    return volume


def lock(tx: Tx, id: str, project_id: str | None = None) -> Volume:
    """As get, and nobody else changes the row until this transaction ends."""
    if tx.dialect != "sqlite":
        tx.row(_LOCK, {"wanted": id})
    return get(tx, id, project_id)


def create(tx: Tx, values: Mapping[str, Any], *, volume_type: str | None = None) -> Volume:
    """Insert a row. Columns not given take their resting value. `volume_type`: the name of its type. Returns what get would read."""
    row = {
        "name": None,
        "description": None,
        "previous_status": None,
        "attach_status": "detached",
        "migration_status": None,
        "availability_zone": None,
        "volume_type_id": None,
        "snapshot_id": None,
        "source_volid": None,
        "bootable": False,
        "multiattach": False,
        "encryption_key_id": None,
        "replication_status": None,
        "consistencygroup_id": None,
        "group_id": None,
        "provider_id": None,
        "shared_targets": None,
        "service_uuid": None,
        "cluster_name": None,
        "consumes_quota": True,
        "backend_id": None,
        "pool": None,
        "name_id": None,
        "metadata": "{}",
        "admin_metadata": "{}",
        "image_metadata": "{}",
        "object": "",
        "operation_id": None,
        "status_since": tx.now,
        "version": 1,
        "launched_at": None,
        "created_at": tx.now,
        "updated_at": None,
        **values,
    }
    try:
        tx.run(_INSERT, row)
    except IntegrityError:  # the type was deleted at this moment
        raise NotFound(f"Volume type {row['volume_type_id']} could not be found") from None
    if row["backend_id"] is not None:  # its host is another table's
        return get(tx, row["id"])
    read = {**row, "volume_type": volume_type, "host": None}
    return Volume(*[read[column] for column in _READ_FROM])


def write(tx: Tx, id: str, **values: Any) -> None:
    """Columns that no state rule guards (never status). Raises NotFound."""
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
    to: str | None = None,
    where: Sequence[ColumnElement[bool]] = (),
    values: Mapping[str, Any] | None = None,
) -> bool:
    """Compare-and-swap: the verb's transition of model.status in one statement, with further conditions. False when nothing matched."""
    move = states.VOLUME_MOVES[verb]
    entered = _entered(tx, id, to or move.to)
    given = values or {}
    statement = _moving(verb, force, bool(entered), project_id is not None, tuple(where), tuple(given))
    asked = {
        "wanted": id,
        "project": project_id,
        "entered": entered,
        "operation": operation_id,
        "now": tx.now,
    }
    return tx.run(statement, asked | {f"new_{name}": value for name, value in given.items()}) == 1


@functools.lru_cache(256)
def _moving(
    verb: str,
    force: bool,
    enters: bool,
    scoped: bool,
    where: tuple[ColumnElement[bool], ...],
    names: tuple[str, ...],
) -> Prepared:
    move = states.VOLUME_MOVES[verb]
    multi = states.allowed(move, force=force, multiattach=True)
    plain = states.allowed(move, force=force)
    allowed: ColumnElement[bool] = volumes.c.status.in_(_texts(plain))
    if multi != plain:
        allowed = or_(allowed, and_(volumes.c.multiattach.is_(True), volumes.c.status.in_(_texts(multi))))
    mine = [volumes.c.project_id == bindparam("project")] if scoped else []
    return Prepared(
        update(volumes)
        .where(_ROW, allowed, *mine, *where)
        .ordered_values(  # MariaDB assigns from left to right: the old status is kept before the new one is written
            (volumes.c.previous_status, volumes.c.status),
            (volumes.c.status, bindparam("entered") if enters else volumes.c.status),
            (volumes.c.operation_id, bindparam("operation")),
            (volumes.c.status_since, bindparam("now")),
            (volumes.c.updated_at, bindparam("now")),
            (volumes.c.version, volumes.c.version + 1),
            *[(volumes.c[name], bindparam(f"new_{name}")) for name in names],
        )
    )


def _texts(values: Iterable[str]) -> list[ColumnElement[str]]:
    """An IN list of a length that does not change."""
    return [literal(value, String) for value in sorted(values)]


def _entered(tx: Tx, id: str, status: str) -> str:
    """What a move writes: "" keeps the status; a client's verb may go where the attachments say at once."""
    return by_attachments(tx, id) if status == states.BY_ATTACHMENTS else status


def allows(
    tx: Tx, id: str, verb: str, *, force: bool = False, where: Sequence[ColumnElement[bool]] = ()
) -> bool:
    """Would the verb start now? For verbs that do not change the status; the caller has locked the row."""
    allowed = volumes.c.status.in_(states.allowed(states.VOLUME_MOVES[verb], force=force))
    return tx.row(select(volumes.c.id).where(volumes.c.id == id, allowed, *where)) is not None


def settle(tx: Tx, id: str, status: str, **values: Any) -> None:
    """The end of a verb: its resting status (states.BACK: the one before; states.BY_ATTACHMENTS: in-use when something is attached)."""
    wanted: Any = status
    if status == states.BACK:
        wanted = func.coalesce(volumes.c.previous_status, "available")
    elif status == states.BY_ATTACHMENTS:
        if tx.dialect != "sqlite":  # else one that goes at this moment would still count
            tx.row(_LOCK, {"wanted": id})
        wanted = by_attachments(tx, id)
    _update(tx, id, {"operation_id": None, "status_since": tx.now, "status": wanted, **values})


def refuse(volume: Volume, verb: str, needed: str = "") -> WrongStatus:
    """The error for a compare-and-swap that missed: what it takes, and what there is."""
    move = states.VOLUME_MOVES[verb]
    return WrongStatus(
        f"Invalid volume: {verb} of volume {volume.id}: status must be {' or '.join(sorted(move.frm))} for this",
        needed=needed or "status " + " or ".join(sorted(move.frm)),
        had=f"status {volume.status}, {volume.attach_status}"
        + (f", migration {volume.migration_status}" if volume.migration_status else ""),
        remedy=_way_out(volume),
        **({"operation": volume.operation_id} if volume.operation_id else {}),
    )


def _way_out(volume: Volume) -> str:
    """Only a status that an operation holds passes by itself ("": the catalogue's advice to wait for it)."""
    state = states.VOLUME.get(volume.status)
    if volume.status == "in-use":
        return "Detach the volume first: 'breezeblock explain ID' names who has it."
    if volume.status.startswith("error"):
        return "See 'breezeblock explain ID' for what went wrong; delete the volume, or mend it and reset its status."
    if state is not None and state.holder is states.Holder.CLIENT and not volume.operation_id:
        return (
            "A client holds it: 'breezeblock explain ID' says since when. That client goes on, its attachment is ended, "
            "or an administrator resets the status."
        )
    return ""


def by_attachments(tx: Tx, id: str) -> str:
    """What remains attached decides. One that failed counts for nothing, unless its export stands: a host may still have the volume."""
    rows = tx.rows(
        select(attachments.c.attach_status, attachments.c.export != "").where(attachments.c.volume_id == id)
    )
    found = states.after_detach([row[0] for row in rows], "")
    return "in-use" if found == "available" and any(row[1] for row in rows) else found


def attach_status_of(tx: Tx, id: str) -> str:
    rows = tx.rows(select(attachments.c.attach_status).where(attachments.c.volume_id == id))
    return "attached" if any(row.attach_status == "attached" for row in rows) else "detached"


@functools.cache
def mig_free() -> ColumnElement[bool]:
    return or_(
        volumes.c.migration_status.is_(None), volumes.c.migration_status.in_(_texts(states.MIGRATION_FREE))
    )


@functools.cache
def detached() -> ColumnElement[bool]:
    return volumes.c.attach_status != "attached"


@functools.cache
def not_exported() -> ColumnElement[bool]:
    """No attachment has a connection: ending it comes before anything that would forget the export."""
    return not_(
        exists(
            select(attachments.c.id).where(
                attachments.c.volume_id == volumes.c.id, attachments.c.export != ""
            )
        )
    )


@functools.cache
def no_snapshots() -> ColumnElement[bool]:
    return not_(exists(select(snapshots.c.id).where(snapshots.c.volume_id == volumes.c.id)))


@functools.cache
def no_attachments() -> ColumnElement[bool]:
    return not_(exists(select(attachments.c.id).where(attachments.c.volume_id == volumes.c.id)))


def remove(tx: Tx, id: str) -> None:
    """Attachments that nobody uses go with it; a snapshot row left makes the database refuse."""
    attachment_rows.remove_of_volume(tx, id)
    tx.run(_REMOVE, {"wanted": id})


def set_metadata(
    tx: Tx, id: str, column: str, change: Mapping[str, str | None], *, replace: bool = False
) -> dict[str, str]:
    """Merge (None removes a key) or replace one of metadata, admin_metadata, image_metadata. Returns all of it."""
    row = tx.row(locked(tx, select(volumes.c[column]).where(volumes.c.id == id)))
    if row is None:
        raise NotFound(f"Volume {id} could not be found")
    merged: dict[str, str] = {} if replace else msgspec.json.decode(row[0])
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    _update(tx, id, {column: msgspec.json.encode(merged).decode()})
    return merged


def used_by_type(tx: Tx, type_id: str) -> bool:
    return tx.row(select(volumes.c.id).where(volumes.c.volume_type_id == type_id).limit(1)) is not None


def _update(tx: Tx, id: str, values: Mapping[str, Any]) -> None:
    values = {"updated_at": tx.now, **values}
    if any(isinstance(value, ColumnElement) for value in values.values()):
        met = tx.execute(
            update(volumes).where(volumes.c.id == id).values(version=volumes.c.version + 1, **values)
        ).rowcount
    else:
        met = tx.run(_setting(tuple(values)), {**values, "wanted": id})
    if met != 1:
        raise NotFound(f"Volume {id} could not be found")


@functools.cache
def _setting(names: tuple[str, ...]) -> Prepared:
    """UPDATE of these columns of one row."""
    return Prepared(
        update(volumes).where(volumes.c.id == bindparam("wanted")).values(version=volumes.c.version + 1),
        columns=names,
    )

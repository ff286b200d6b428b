# SPDX-License-Identifier: Apache-2.0
"""Volume rows: reads, pages, compare-and-swap of the status, metadata. Every write raises the row's version; a status is only written by a
verb of model.status (begin/settle) or by reset."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    update,
)

from breezeblock.model import status as states
from breezeblock.model.errors import NotFound, WrongStatus
from breezeblock.model.paging import PageQuery
from breezeblock.model.volume import Volume
from breezeblock.store import attachments as attachment_rows
from breezeblock.store.paging import Pages, filtered
from breezeblock.store.prepared import Prepared, inserting, numbered
from breezeblock.store.remembered import NAMES, Head
from breezeblock.store.schema import attachments, backends, counters, snapshots, volume_types, volumes
from breezeblock.store.sql import locked, locking
from breezeblock.store.transaction import Tx

_HOST = (backends.c.host + "@" + backends.c.name + "#" + volumes.c.pool).label("host")
_RENAMED: dict[str, Any] = {
    "volume_type": volume_types.c.name.label("volume_type"),
    "host": _HOST,
    "metadata_json": volumes.c.metadata,
    "admin_metadata_json": volumes.c.admin_metadata,
    "image_metadata_json": volumes.c.image_metadata,
    "object_json": volumes.c.object,
}
_COLUMNS: list[Any] = [
    _RENAMED[name] if name in _RENAMED else volumes.c[name]
    for name in Volume.__struct_fields__
    if name != "attachments"
]
_FROM = volumes.outerjoin(volume_types, volume_types.c.id == volumes.c.volume_type_id).outerjoin(
    backends, backends.c.id == volumes.c.backend_id
)
_SELECT = select(*_COLUMNS).select_from(_FROM)
_GET = Prepared(_SELECT.where(volumes.c.id == bindparam("wanted")))
_LOCK = locking(select(volumes.c.id).where(volumes.c.id == bindparam("wanted")))
_INSERT = inserting(volumes)
_REMOVE = Prepared(delete(volumes).where(volumes.c.id == bindparam("wanted")))
#: what filters and sort keys may name.
COLUMNS: Mapping[str, ColumnElement[Any]] = {
    name: _RENAMED[name] if name in _RENAMED else volumes.c[name]
    for name in Volume.__struct_fields__
    if name not in ("attachments", "host")
} | {"metadata": volumes.c.metadata, "image_metadata": volumes.c.image_metadata, "host": _HOST.element}
_ATTACHED = Volume.__struct_fields__.index("attach_status")


#: Raised by whoever changes what a row shows of other tables (a type's name, a backend's host).
_NAMES = select(counters.c.value).where(counters.c.name == NAMES).scalar_subquery()
_NO_TARGETS = or_(
    volumes.c.migration_status.is_(None), not_(cast(volumes.c.migration_status, String).like("target:%"))
)


def _pages(base: Select[Any]) -> tuple[Pages, Pages]:
    """With the targets of migrations, and without."""
    return Pages(base, COLUMNS, noun="Volume"), Pages(base.where(_NO_TARGETS), COLUMNS, noun="Volume")


_WHOLE = _pages(_SELECT)
_NAMED = _pages(_SELECT.add_columns(_NAMES))
_HEADS = _pages(select(volumes.c.id, volumes.c.version, volumes.c.updated_at, _NAMES).select_from(_FROM))
#: of more rows than this the whole page is read again.
_FEW = 50


@functools.cache
def _some(number: int) -> Prepared:
    ids: list[Any] = [bindparam(f"id{n}") for n in range(number)]
    return Prepared(_SELECT.add_columns(_NAMES).where(volumes.c.id.in_(ids)))


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


def page(tx: Tx, query: PageQuery, *, hide_migration_targets: bool = False) -> list[Volume]:
    """One query for what readers remember, one more for rows that are new to them, and one for the attachments when a volume of the page
    is attached and they are wanted."""
    hidden = bool(hide_migration_targets)
    if tx.remembered is None:
        found = [Volume(*row) for row in _WHOLE[hidden].rows(tx, query)]
    else:
        heads = _HEADS[hidden].rows(tx, query)

        def read(ids: Sequence[str]) -> Iterator[tuple[Head, Volume]]:
            many = len(ids) > _FEW
            rows = _NAMED[hidden].rows(tx, query) if many else tx.rows(_some(len(ids)), numbered("id", ids))
            for row in rows:
                volume = Volume(*row[:-1])
                yield Head(volume.id, volume.version, volume.updated_at, row[-1]), volume

        found = tx.remembered.rows(heads, read)
    if query.with_attachments:
        attached = [volume.id for volume in found if volume.attach_status != "detached"]
        if attached:
            by_volume = attachment_rows.of_volumes(tx, attached)
            found = [
                msgspec.structs.replace(volume, attachments=by_volume[volume.id])
                if volume.id in by_volume
                else volume
                for volume in found
            ]
    return found


def count(tx: Tx, query: PageQuery, *, hide_migration_targets: bool = False) -> int:
    base = select(func.count()).select_from(_FROM)
    return int(tx.execute(filtered(tx, base, COLUMNS, query, _visible(hide_migration_targets))).scalar_one())


def summary(tx: Tx, project_id: str | None) -> tuple[int, int, dict[str, list[str]]]:
    """(number, GiB, distinct metadata values by key)."""
    mine = [volumes.c.project_id == project_id] if project_id is not None else []
    total = tx.row(select(func.count(), func.coalesce(func.sum(volumes.c.size), 0)).where(*mine))
    assert total is not None
    values: dict[str, set[str]] = {}
    for row in tx.rows(select(volumes.c.metadata).where(volumes.c.metadata != "{}", *mine).distinct()):
        for key, value in msgspec.json.decode(row.metadata).items():
            values.setdefault(key, set()).add(value)
    return int(total[0]), int(total[1]), {key: sorted(found) for key, found in values.items()}


def create(tx: Tx, values: Mapping[str, Any]) -> None:
    """Insert a row. Columns not given take their resting value."""
    tx.run(
        _INSERT,
        {
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
        },
    )


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
    multi = states.allowed(move, force=force, multiattach=True)
    plain = states.allowed(move, force=force)
    allowed: ColumnElement[bool] = volumes.c.status.in_(plain)
    if multi != plain:
        allowed = or_(allowed, and_(volumes.c.multiattach.is_(True), volumes.c.status.in_(multi)))
    mine = [volumes.c.project_id == project_id] if project_id is not None else []
    done = tx.execute(
        update(volumes)
        .where(volumes.c.id == id, allowed, *mine, *where)
        .ordered_values(  # MariaDB assigns from left to right: the old status is kept before the new one is written
            (volumes.c.previous_status, volumes.c.status),
            (volumes.c.status, _entered(tx, id, to or move.to)),
            (volumes.c.operation_id, operation_id),
            (volumes.c.status_since, tx.now),
            (volumes.c.updated_at, tx.now),
            (volumes.c.version, volumes.c.version + 1),
            *[(volumes.c[name], value) for name, value in (values or {}).items()],
        )
    )
    return int(done.rowcount) == 1


def _entered(tx: Tx, id: str, status: str) -> Any:
    """What a move writes: "" keeps the status; a client's verb may go where the attachments say at once."""
    if status == states.BY_ATTACHMENTS:
        return by_attachments(tx, id)
    return status or volumes.c.status


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
    if state is not None and state.holder is states.Holder.CLIENT:
        return "A client holds it: 'breezeblock explain ID' names it. That client goes on, or its attachment is ended."
    return ""


def by_attachments(tx: Tx, id: str) -> str:
    rows = tx.rows(select(attachments.c.attach_status).where(attachments.c.volume_id == id))
    return states.after_detach([row.attach_status for row in rows], "")


def attach_status_of(tx: Tx, id: str) -> str:
    rows = tx.rows(select(attachments.c.attach_status).where(attachments.c.volume_id == id))
    return "attached" if any(row.attach_status == "attached" for row in rows) else "detached"


def mig_free() -> ColumnElement[bool]:
    return or_(
        volumes.c.migration_status.is_(None), volumes.c.migration_status.in_(sorted(states.MIGRATION_FREE))
    )


def detached() -> ColumnElement[bool]:
    return volumes.c.attach_status != "attached"


def not_exported() -> ColumnElement[bool]:
    """No attachment has a connection: ending it comes before anything that would forget the export."""
    return not_(
        exists(
            select(attachments.c.id).where(
                attachments.c.volume_id == volumes.c.id, attachments.c.export != ""
            )
        )
    )


def no_snapshots() -> ColumnElement[bool]:
    return not_(exists(select(snapshots.c.id).where(snapshots.c.volume_id == volumes.c.id)))


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


def on_pool(tx: Tx, backend_id: str, pool: str) -> tuple[int, int]:
    """(number of volumes, their GiB) on a pool."""
    row = tx.row(
        select(func.count(), func.coalesce(func.sum(volumes.c.size), 0)).where(
            volumes.c.backend_id == backend_id, volumes.c.pool == pool
        )
    )
    assert row is not None
    return int(row[0]), int(row[1])


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


def _visible(hide_migration_targets: bool) -> list[ColumnElement[bool]]:
    return [_NO_TARGETS] if hide_migration_targets else []

# SPDX-License-Identifier: Apache-2.0
"""How volumes are read: the columns of a Volume over the tables that it shows, and pages, counts and sums of many. A page read by a reader
takes from what is remembered; inside a transaction that writes, everything is read. Must never write."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, String, bindparam, cast, func, not_, or_, select

from breezeblock.model.paging import PageQuery
from breezeblock.model.volume import Volume
from breezeblock.store import attachments as attachment_rows
from breezeblock.store.paging import Pages, filtered
from breezeblock.store.prepared import Prepared, numbered
from breezeblock.store.remembered import NAMES
from breezeblock.store.schema import backends, counters, volume_types, volumes
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
SELECT = select(*_COLUMNS).select_from(_FROM)
#: what filters and sort keys may name.
COLUMNS: Mapping[str, ColumnElement[Any]] = {
    name: _RENAMED[name] if name in _RENAMED else volumes.c[name]
    for name in Volume.__struct_fields__
    if name not in ("attachments", "host")
} | {"metadata": volumes.c.metadata, "image_metadata": volumes.c.image_metadata, "host": _HOST.element}
#: Raised by whoever changes what a row shows of other tables (a type's name, a backend's host).
_NAMES = select(counters.c.value).where(counters.c.name == NAMES).scalar_subquery()
_NO_TARGETS = or_(
    volumes.c.migration_status.is_(None), not_(cast(volumes.c.migration_status, String).like("target:%"))
)


def _pages(base: Select[Any]) -> tuple[Pages, Pages]:
    """With the targets of migrations, and without."""
    return Pages(base, COLUMNS, noun="Volume"), Pages(base.where(_NO_TARGETS), COLUMNS, noun="Volume")


_WHOLE = _pages(SELECT)
_NAMED = _pages(SELECT.add_columns(_NAMES))
_HEADS = _pages(select(volumes.c.id, volumes.c.version, volumes.c.updated_at, _NAMES).select_from(_FROM))
#: of more rows than this the whole page is read again.
_FEW = 50


@functools.cache
def _some(number: int) -> Prepared:
    ids: list[Any] = [bindparam(f"id{n}") for n in range(number)]
    return Prepared(SELECT.add_columns(_NAMES).where(volumes.c.id.in_(ids)))


def page(tx: Tx, query: PageQuery, *, hide_migration_targets: bool = False) -> list[Volume]:
    """One query for what readers remember, one more for rows that are new to them, and one for the attachments when a volume of the page
    is attached and they are wanted."""
    hidden = bool(hide_migration_targets)
    if tx.remembered is None:
        found = [Volume(*row) for row in _WHOLE[hidden].rows(tx, query)]
    else:
        heads = _HEADS[hidden].rows(tx, query)

        def read(ids: Sequence[str]) -> list[tuple[Volume, int]]:
            many = len(ids) > _FEW
            rows = _NAMED[hidden].rows(tx, query) if many else tx.rows(_some(len(ids)), numbered("id", ids))
            return [(Volume(*row[:-1]), row[-1]) for row in rows]

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


def _visible(hide_migration_targets: bool) -> list[ColumnElement[bool]]:
    return [_NO_TARGETS] if hide_migration_targets else []

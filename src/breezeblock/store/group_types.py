# SPDX-License-Identifier: Apache-2.0
"""Group types and their specs. Others than administrators see the public ones."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from breezeblock.model.errors import Conflict, NotFound
from breezeblock.model.group_type import GroupType
from breezeblock.model.identity import Caller
from breezeblock.model.paging import PageQuery
from breezeblock.store.paging import paged
from breezeblock.store.schema import group_types
from breezeblock.store.sql import locked
from breezeblock.store.transaction import Tx

_SELECT = select(*[group_types.c[name.removesuffix("_json")] for name in GroupType.__struct_fields__])
COLUMNS: Mapping[str, ColumnElement[Any]] = dict(group_types.columns)


def page(tx: Tx, query: PageQuery, caller: Caller) -> list[GroupType]:
    rows = tx.rows(paged(tx, _SELECT, COLUMNS, query, noun="Group type", extra=_visible(caller)))
    return [GroupType(*row) for row in rows]


def get(tx: Tx, id_or_name: str, caller: Caller | None = None) -> GroupType:
    """By id, else by name. Raises NotFound, also for a private type of others."""
    row = tx.row(
        _SELECT.where(
            or_(group_types.c.id == id_or_name, group_types.c.name == id_or_name), *_visible(caller)
        )
        .order_by((group_types.c.id == id_or_name).desc())
        .limit(1)
    )
    if row is None:
        raise NotFound(f"Group type {id_or_name} could not be found")
    return GroupType(*row)


def create(
    tx: Tx, name: str, *, description: str | None, is_public: bool, group_specs: Mapping[str, str | None]
) -> GroupType:
    """Raises Conflict when the name is taken."""
    id = str(uuid.uuid4())
    values = {
        "id": id,
        "name": name,
        "description": description,
        "is_public": is_public,
        "group_specs": msgspec.json.encode(dict(group_specs)).decode(),
        "created_at": tx.now,
        "updated_at": None,
    }
    try:
        with tx.part():
            tx.execute(insert(group_types), values)
    except IntegrityError:
        raise Conflict(f"Group type {name} already exists") from None
    return get(tx, id)


def write(tx: Tx, id: str, **values: Any) -> GroupType:
    """name, description, is_public. Raises Conflict."""
    try:
        with tx.part():
            tx.execute(update(group_types).where(group_types.c.id == id).values(updated_at=tx.now, **values))
    except IntegrityError:
        raise Conflict(f"Group type {values.get('name')} already exists") from None
    return get(tx, id)


def set_specs(tx: Tx, id: str, change: Mapping[str, str | None], *, remove: bool = False) -> None:
    """Merge specs, or (remove) take the named keys away."""
    row = tx.row(locked(tx, select(group_types.c.group_specs).where(group_types.c.id == id)))
    if row is None:
        raise NotFound(f"Group type {id} could not be found")
    specs: dict[str, str | None] = msgspec.json.decode(row.group_specs)
    for key, value in change.items():
        if remove:
            specs.pop(key, None)
        else:
            specs[key] = value
    tx.execute(
        update(group_types)
        .where(group_types.c.id == id)
        .values(group_specs=msgspec.json.encode(specs).decode(), updated_at=tx.now)
    )


def remove(tx: Tx, id: str) -> None:
    tx.execute(delete(group_types).where(group_types.c.id == id))


def _visible(caller: Caller | None) -> list[ColumnElement[bool]]:
    return [] if caller is None or caller.is_admin else [group_types.c.is_public.is_(True)]

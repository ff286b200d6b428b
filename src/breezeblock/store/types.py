# SPDX-License-Identifier: Apache-2.0
"""Volume types and their extra specs. A type that volumes use keeps its specs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from breezeblock.model.errors import BadRequest, Conflict, NotFound
from breezeblock.model.identity import Caller
from breezeblock.model.paging import PageQuery
from breezeblock.model.volume_type import DEFAULT_TYPE, Encryption, VolumeType
from breezeblock.store import default_types as default_types_rows
from breezeblock.store import quotas
from breezeblock.store import volumes as volume_rows
from breezeblock.store.paging import paged
from breezeblock.store.prepared import Prepared
from breezeblock.store.schema import default_types, volume_type_access, volume_types
from breezeblock.store.sql import locked, renamed
from breezeblock.store.transaction import Tx

_STORED = {"extra_specs_json": "extra_specs", "encryption_json": "encryption"}
_COLUMNS = [volume_types.c[_STORED.get(name, name)] for name in VolumeType.__struct_fields__]
_SELECT = select(*_COLUMNS)
COLUMNS: Mapping[str, ColumnElement[Any]] = {
    name: volume_types.c[_STORED.get(name, name)] for name in VolumeType.__struct_fields__
} | {"extra_specs": volume_types.c.extra_specs}


def visible(caller: Caller | None) -> list[ColumnElement[bool]]:
    """Public types and those the project was given access to; administrators see all."""
    return [] if caller is None or caller.is_admin else [_visible_to(literal(caller.project_id))]


def _visible_to(project: ColumnElement[str]) -> ColumnElement[bool]:
    granted = exists(
        select(volume_type_access.c.project_id).where(
            volume_type_access.c.volume_type_id == volume_types.c.id,
            volume_type_access.c.project_id == project,
        )
    )
    return or_(volume_types.c.is_public.is_(True), granted)


def _named(*more: ColumnElement[bool]) -> Prepared:
    """By id, else by name."""
    wanted = bindparam("wanted", type_=String)
    return Prepared(
        _SELECT.where(or_(volume_types.c.id == wanted, volume_types.c.name == wanted), *more)
        .order_by((volume_types.c.id == wanted).desc())
        .limit(1)
    )


_DEFAULT = Prepared(
    _SELECT.outerjoin(
        default_types,
        and_(
            default_types.c.volume_type_id == volume_types.c.id,
            default_types.c.project_id == bindparam("project", type_=String),
        ),
    )
    .where(or_(volume_types.c.name == DEFAULT_TYPE, default_types.c.project_id.is_not(None)))
    .order_by(default_types.c.project_id.is_(None))
    .limit(1)
)
_GET, _GET_VISIBLE = _named(), _named(_visible_to(bindparam("project", type_=String)))


def get(tx: Tx, id_or_name: str, caller: Caller | None = None) -> VolumeType:
    """By id, else by name. Raises NotFound, also for a private type of others."""
    row = (
        tx.row(_GET, {"wanted": id_or_name})
        if caller is None or caller.is_admin
        else tx.row(_GET_VISIBLE, {"wanted": id_or_name, "project": caller.project_id})
    )
    if row is None:
        raise NotFound(f"Volume type {id_or_name} could not be found")
    return VolumeType(*row)


def default(tx: Tx, project_id: str = "") -> VolumeType:
    """What a volume of the project gets when nobody names a type: the project's own default, else everybody's."""
    row = tx.row(_DEFAULT, {"project": project_id})
    if row is None:
        raise NotFound(f"Volume type {DEFAULT_TYPE} could not be found")
    return VolumeType(*row)


def with_qos(tx: Tx, qos_id: str) -> list[VolumeType]:
    """The types that have these QoS specs, by name."""
    rows = tx.rows(_SELECT.where(volume_types.c.qos_specs_id == qos_id).order_by(volume_types.c.name))
    return [VolumeType(*row) for row in rows]


def page(tx: Tx, query: PageQuery, caller: Caller | None = None) -> list[VolumeType]:
    return [
        VolumeType(*row)
        for row in tx.rows(paged(tx, _SELECT, COLUMNS, query, noun="Volume type", extra=visible(caller)))
    ]


def create(
    tx: Tx,
    name: str,
    *,
    description: str | None = None,
    is_public: bool = True,
    extra_specs: Mapping[str, str | None] | None = None,
) -> VolumeType:
    """Raises Conflict when the name is taken."""
    id = str(uuid.uuid4())
    values = {
        "id": id,
        "name": name,
        "description": description,
        "is_public": is_public,
        "qos_specs_id": None,
        "extra_specs": msgspec.json.encode(dict(extra_specs or {})).decode(),
        "encryption": "",
        "created_at": tx.now,
        "updated_at": None,
    }
    try:
        with tx.part():
            tx.execute(insert(volume_types), values)
    except IntegrityError:
        raise Conflict(f"Volume type {name} already exists") from None
    return get(tx, id)


def write(tx: Tx, id: str, **values: Any) -> VolumeType:
    """name, description, is_public. A new name goes to the quota keys of the type too. Raises NotFound, Conflict."""
    before = get(tx, id)
    if before.name == DEFAULT_TYPE and values.get("name", DEFAULT_TYPE) != DEFAULT_TYPE:
        raise BadRequest(
            f"The {DEFAULT_TYPE} volume type keeps its name: it is found by it",
            remedy="Make another type, and give it to projects as their default.",
        )
    try:
        with tx.part():
            done = tx.execute(
                update(volume_types).where(volume_types.c.id == id).values(updated_at=tx.now, **values)
            )
    except IntegrityError:
        raise Conflict(f"Volume type {values.get('name')} already exists") from None
    if done.rowcount != 1:
        raise NotFound(f"Volume type {id} could not be found")
    if values.get("name", before.name) != before.name:
        renamed(tx)
        quotas.rename_type(tx, before.name, values["name"])
    return get(tx, id)


def set_extra_specs(
    tx: Tx, id: str, change: Mapping[str, str | None], *, remove: bool = False
) -> dict[str, str | None]:
    """Merge specs, or (remove) take the named keys away. Raises BadRequest while a volume has the type."""
    row = tx.row(locked(tx, select(volume_types.c.extra_specs).where(volume_types.c.id == id)))
    if row is None:
        raise NotFound(f"Volume type {id} could not be found")
    if volume_rows.used_by_type(tx, id):
        raise BadRequest(
            f"Volume Type is currently in use: {id}",
            remedy="Make a new type, or delete the volumes that have this one.",
        )
    merged: dict[str, str | None] = msgspec.json.decode(row.extra_specs)
    for key, value in change.items():
        if remove:
            merged.pop(key, None)
        else:
            merged[key] = value
    tx.execute(
        update(volume_types)
        .where(volume_types.c.id == id)
        .values(extra_specs=msgspec.json.encode(merged).decode(), updated_at=tx.now)
    )
    return merged


def set_encryption(tx: Tx, id: str, encryption: Encryption | None) -> None:
    """Raises NotFound; BadRequest while a volume has the type."""
    if tx.row(locked(tx, select(volume_types.c.id).where(volume_types.c.id == id))) is None:
        raise NotFound(f"Volume type {id} could not be found")
    if volume_rows.used_by_type(tx, id):
        raise BadRequest(
            f"Volume type {id} is in use by volumes: its encryption cannot be changed",
            remedy="Make a new type, or delete the volumes that have this one.",
        )
    text = "" if encryption is None else msgspec.json.encode(encryption).decode()
    tx.execute(update(volume_types).where(volume_types.c.id == id).values(encryption=text))


def remove(tx: Tx, id: str) -> None:
    """Raises NotFound, BadRequest (in use, or the default type)."""
    found = get(tx, id)
    if found.name == DEFAULT_TYPE:
        raise BadRequest(f"The {DEFAULT_TYPE} volume type can not be deleted")
    if default_types_rows.uses(tx, found.id):
        raise BadRequest(
            f"Volume type {found.name} is the default type of a project and can not be deleted",
            remedy="Give that project another default first.",
        )
    if volume_rows.used_by_type(tx, found.id):
        raise _in_use(found)
    try:
        with tx.part():
            tx.execute(delete(volume_types).where(volume_types.c.id == found.id))
    except IntegrityError:  # a volume of it came at this moment
        raise _in_use(found) from None


def _in_use(kind: VolumeType) -> BadRequest:
    return BadRequest(f"Target volume type is still in use: {kind.id}")

# SPDX-License-Identifier: Apache-2.0
"""QoS specs and the types that have them. A type has at most one; specs that types have are only removed when that is forced."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from breezeblock.model.errors import BadRequest, Conflict, NotFound
from breezeblock.model.paging import PageQuery
from breezeblock.model.qos import QosSpecs
from breezeblock.model.volume import Volume
from breezeblock.model.volume_type import VolumeType
from breezeblock.store import types
from breezeblock.store.paging import paged
from breezeblock.store.schema import qos_specs, volume_types
from breezeblock.store.sql import locked
from breezeblock.store.transaction import Tx

_SELECT = select(
    *[qos_specs.c["specs" if name == "specs_json" else name] for name in QosSpecs.__struct_fields__]
)
COLUMNS: Mapping[str, ColumnElement[Any]] = dict(qos_specs.columns)


def page(tx: Tx, query: PageQuery) -> list[QosSpecs]:
    return [QosSpecs(*row) for row in tx.rows(paged(tx, _SELECT, COLUMNS, query, noun="QoS specs"))]


def get(tx: Tx, id: str) -> QosSpecs:
    """Raises NotFound."""
    return _found(tx, id, lock=False)


def of_volume(tx: Tx, volume: Volume) -> dict[str, str] | None:
    """What a connection of the volume tells of its type's QoS specs."""
    row = tx.row(
        _SELECT.join(volume_types, volume_types.c.qos_specs_id == qos_specs.c.id).where(
            volume_types.c.id == volume.volume_type_id
        )
    )
    return None if row is None else QosSpecs(*row).for_hypervisor(volume.size)


def create(tx: Tx, name: str, consumer: str, specs: Mapping[str, str]) -> QosSpecs:
    """Raises Conflict when the name is taken."""
    id = str(uuid.uuid4())
    values = {
        "id": id,
        "name": name,
        "consumer": consumer,
        "specs": msgspec.json.encode(dict(specs)).decode(),
        "created_at": tx.now,
        "updated_at": None,
    }
    try:
        with tx.part():
            tx.execute(insert(qos_specs), values)
    except IntegrityError:
        raise Conflict(f"QoS specs {name} already exist") from None
    return get(tx, id)


def write(tx: Tx, id: str, change: Mapping[str, str | None], *, consumer: str | None = None) -> None:
    """Merge specs (None takes a key away). Raises NotFound."""
    before = _found(tx, id, lock=True)
    merged = {key: value for key, value in {**before.specs, **change}.items() if value is not None}
    _store(tx, id, merged, consumer or before.consumer)


def remove_keys(tx: Tx, id: str, keys: Sequence[str]) -> str | None:
    """Take keys away, up to the first that is not there, which is returned. Raises NotFound for the specs."""
    before = _found(tx, id, lock=True)
    left, missing = before.specs, None
    for key in keys:
        if left.pop(key, None) is None:
            missing = key
            break
    if left != before.specs:
        _store(tx, id, left, before.consumer)
    return missing


def remove(tx: Tx, id: str, *, force: bool) -> None:
    """Raises NotFound; BadRequest when types have them and it is not forced."""
    _found(tx, id, lock=True)
    users = associations(tx, id)
    if users and not force:
        raise BadRequest(
            f"QoS specs {id} are still associated with volume types",
            had=", ".join(kind.name for kind in users[:5]),
            remedy="Disassociate them, or force the deletion.",
        )
    disassociate_all(tx, id)
    tx.execute(delete(qos_specs).where(qos_specs.c.id == id))


def associations(tx: Tx, id: str) -> list[VolumeType]:
    """The types that have them, by name."""
    return types.with_qos(tx, id)


def associate(tx: Tx, id: str, type_id: str) -> None:
    """Raises NotFound for either; BadRequest when the type has others."""
    _found(tx, id, lock=True)
    kind = types.get(tx, type_id)
    done = tx.execute(
        update(volume_types)
        .where(volume_types.c.id == kind.id, volume_types.c.qos_specs_id.is_(None))
        .values(qos_specs_id=id, updated_at=tx.now)
    )
    if done.rowcount != 1 and types.get(tx, kind.id).qos_specs_id != id:
        raise BadRequest(
            f"Type {kind.name} is already associated with other QoS specs",
            had=str(kind.qos_specs_id),
            remedy="Disassociate the type from those first.",
        )


def disassociate(tx: Tx, id: str, type_id: str) -> None:
    """Raises NotFound for either. A type that does not have them stays as it is."""
    get(tx, id)
    kind = types.get(tx, type_id)
    tx.execute(
        update(volume_types)
        .where(volume_types.c.id == kind.id, volume_types.c.qos_specs_id == id)
        .values(qos_specs_id=None, updated_at=tx.now)
    )


def disassociate_all(tx: Tx, id: str) -> None:
    """Raises NotFound."""
    get(tx, id)
    tx.execute(
        update(volume_types)
        .where(volume_types.c.qos_specs_id == id)
        .values(qos_specs_id=None, updated_at=tx.now)
    )


def _found(tx: Tx, id: str, *, lock: bool) -> QosSpecs:
    query = _SELECT.where(qos_specs.c.id == id)
    row = tx.row(locked(tx, query) if lock else query)
    if row is None:
        raise NotFound(f"QoS specs {id} could not be found")
    return QosSpecs(*row)


def _store(tx: Tx, id: str, specs: Mapping[str, str], consumer: str) -> None:
    tx.execute(
        update(qos_specs)
        .where(qos_specs.c.id == id)
        .values(specs=msgspec.json.encode(dict(specs)).decode(), consumer=consumer, updated_at=tx.now)
    )

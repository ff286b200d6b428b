# SPDX-License-Identifier: Apache-2.0
"""Attachment rows. Uniqueness of an exclusive attachment is decided by the volume's compare-and-swap, never here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import NotFound
from breezeblock.model.paging import PageQuery
from breezeblock.store.paging import paged
from breezeblock.store.prepared import Prepared
from breezeblock.store.schema import attachments
from breezeblock.store.transaction import Tx

_STORED = {"connector_json": "connector", "connection_json": "connection", "device_json": "device"}
_COLUMNS = [attachments.c[_STORED.get(name, name)] for name in Attachment.__struct_fields__]
_SELECT = select(*_COLUMNS)
_OF_VOLUME = Prepared(
    _SELECT.where(attachments.c.volume_id == bindparam("volume")).order_by(
        attachments.c.created_at, attachments.c.id
    )
)
_REMOVE_OF_VOLUME = Prepared(delete(attachments).where(attachments.c.volume_id == bindparam("volume")))
COLUMNS: Mapping[str, ColumnElement[Any]] = {
    name: attachments.c[_STORED.get(name, name)] for name in Attachment.__struct_fields__
} | {"instance_id": attachments.c.instance_uuid, "status": attachments.c.attach_status}


def of_volume(tx: Tx, volume_id: str) -> tuple[Attachment, ...]:
    return tuple(Attachment(*row) for row in tx.rows(_OF_VOLUME, {"volume": volume_id}))


def of_volumes(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[Attachment, ...]]:
    found: dict[str, tuple[Attachment, ...]] = {}
    for row in tx.rows(
        _SELECT.where(attachments.c.volume_id.in_(ids)).order_by(attachments.c.created_at, attachments.c.id)
    ):
        found[row[1]] = (*found.get(row[1], ()), Attachment(*row))
    return found


def find(tx: Tx, id: str, project_id: str | None = None) -> Attachment | None:
    row = tx.row(_SELECT.where(attachments.c.id == id))
    return (
        None if row is None or (project_id is not None and row.project_id != project_id) else Attachment(*row)
    )


def get(tx: Tx, id: str, project_id: str | None = None) -> Attachment:
    found = find(tx, id, project_id)
    if found is None:
        raise NotFound(f"Volume attachment {id} could not be found")
    return found


def page(tx: Tx, query: PageQuery) -> list[Attachment]:
    return [Attachment(*row) for row in tx.rows(paged(tx, _SELECT, COLUMNS, query, noun="Volume attachment"))]


def of_agent(tx: Tx, agent_host: str) -> list[Attachment]:
    """Every attachment that the agent of a host holds."""
    return [Attachment(*row) for row in tx.rows(_SELECT.where(attachments.c.agent_host == agent_host))]


def create(tx: Tx, values: Mapping[str, Any]) -> None:
    tx.execute(
        insert(attachments),
        {
            "instance_uuid": None,
            "attached_host": None,
            "mountpoint": None,
            "attach_mode": "null",
            "attach_status": "reserved",
            "connector": "",
            "connection": "",
            "attach_time": None,
            "detach_time": None,
            "operation_id": None,
            "agent_host": None,
            "device": "",
            "boot_id": None,
            "export": "",
            "created_at": tx.now,
            "updated_at": None,
            **values,
        },
    )


def write(tx: Tx, id: str, **values: Any) -> None:
    done = tx.execute(update(attachments).where(attachments.c.id == id).values(updated_at=tx.now, **values))
    if done.rowcount != 1:
        raise NotFound(f"Volume attachment {id} could not be found")


def settle(tx: Tx, id: str, operation_id: str, **values: Any) -> None:
    """The end of an operation on the attachment. It may have gone meanwhile, or have a newer operation, which stays on record."""
    mine = update(attachments).where(attachments.c.id == id)
    if values:
        tx.execute(mine.values(updated_at=tx.now, **values))
    tx.execute(mine.where(attachments.c.operation_id == operation_id).values(operation_id=None))


def remove(tx: Tx, id: str) -> bool:
    """False when it had gone already."""
    return bool(tx.execute(delete(attachments).where(attachments.c.id == id)).rowcount)


def remove_of_volume(tx: Tx, volume_id: str) -> None:
    tx.run(_REMOVE_OF_VOLUME, {"volume": volume_id})


def export_of(tx: Tx, volume_id: str) -> str:
    """The stored Export (JSON) of a volume that is exported, else ""."""
    row = tx.row(
        select(attachments.c.export)
        .where(attachments.c.volume_id == volume_id, attachments.c.export != "")
        .limit(1)
    )
    return "" if row is None else str(row.export)

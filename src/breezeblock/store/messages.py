# SPDX-License-Identifier: Apache-2.0
"""User messages (why something failed, for its owner) and findings (what an operator should look at)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select

from breezeblock.model.errors import NotFound
from breezeblock.model.paging import PageQuery
from breezeblock.store.paging import paged
from breezeblock.store.schema import findings, messages
from breezeblock.store.transaction import Tx

#: how long a message is guaranteed to stay.
KEPT_DAYS = 30


class Message(msgspec.Struct, frozen=True):
    """Field order = column order of the messages table."""

    id: str
    project_id: str
    request_id: str | None
    resource_type: str | None
    resource_uuid: str | None
    event_id: str
    level: str
    text: str
    created_at: str
    expires_at: str


_SELECT = select(*[messages.c[n] for n in Message.__struct_fields__])
COLUMNS: Mapping[str, ColumnElement[Any]] = {n: messages.c[n] for n in Message.__struct_fields__} | {
    "message_level": messages.c.level
}


def tell(
    tx: Tx,
    *,
    project_id: str,
    request_id: str | None,
    resource_type: str,
    resource_id: str,
    event_id: str,
    text: str,
) -> None:
    expires = datetime.fromisoformat(tx.now).replace(tzinfo=UTC) + timedelta(days=KEPT_DAYS)
    tx.execute(
        insert(messages),
        {
            "id": str(uuid.uuid4()),
            "project_id": project_id,
            "request_id": request_id,
            "resource_type": resource_type,
            "resource_uuid": resource_id,
            "event_id": event_id,
            "level": "ERROR",
            "text": text,
            "created_at": tx.now,
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        },
    )


def get(tx: Tx, id: str, project_id: str | None = None) -> Message:
    row = tx.row(_SELECT.where(messages.c.id == id))
    if row is None or (project_id is not None and row.project_id != project_id):
        raise NotFound(f"Message {id} could not be found")
    return Message(*row)


def page(tx: Tx, query: PageQuery) -> list[Message]:
    return [Message(*row) for row in tx.rows(paged(tx, _SELECT, COLUMNS, query, noun="Message"))]


def remove(tx: Tx, id: str) -> None:
    tx.execute(delete(messages).where(messages.c.id == id))


def find_out(tx: Tx, resource_id: str, operation_id: str | None, code: str, text: str) -> None:
    """Record a finding for an operator."""
    tx.execute(
        insert(findings),
        {
            "id": str(uuid.uuid4()),
            "resource_id": resource_id,
            "operation_id": operation_id,
            "code": code,
            "text": text,
            "created_at": tx.now,
        },
    )


def findings_of(tx: Tx, resource_id: str) -> list[tuple[str, str, str]]:
    """(code, text, when), newest first."""
    rows = tx.rows(
        select(findings).where(findings.c.resource_id == resource_id).order_by(findings.c.created_at.desc())
    )
    return [(row.code, row.text, row.created_at) for row in rows]

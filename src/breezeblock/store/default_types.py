# SPDX-License-Identifier: Apache-2.0
"""The types that projects get by default. A type that is one cannot be deleted."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from breezeblock.model.errors import BadRequest
from breezeblock.store.schema import default_types
from breezeblock.store.sql import upsert
from breezeblock.store.transaction import Tx


def get(tx: Tx, project_id: str) -> str | None:
    """The id of the project's default type; None: it has none of its own."""
    row = tx.row(select(default_types.c.volume_type_id).where(default_types.c.project_id == project_id))
    return None if row is None else str(row.volume_type_id)


def everyone(tx: Tx) -> list[tuple[str, str]]:
    """(project, type id), by project."""
    rows = tx.rows(
        select(default_types.c.project_id, default_types.c.volume_type_id).order_by(
            default_types.c.project_id
        )
    )
    return [(row.project_id, row.volume_type_id) for row in rows]


def put(tx: Tx, project_id: str, type_id: str) -> None:
    """Raises BadRequest when the type was deleted at this moment."""
    row = {
        "project_id": project_id,
        "volume_type_id": type_id,
        "created_at": tx.now,
        "updated_at": None,
    }
    try:
        upsert(tx, default_types, ("project_id",), [row], keep=("created_at",))
    except IntegrityError:
        raise BadRequest(f"Volume type {type_id} could not be found") from None


def unset(tx: Tx, project_id: str) -> None:
    """Absent is fine."""
    tx.execute(delete(default_types).where(default_types.c.project_id == project_id))


def uses(tx: Tx, type_id: str) -> bool:
    """Whether a project gets the type by default."""
    return (
        tx.row(select(default_types.c.project_id).where(default_types.c.volume_type_id == type_id).limit(1))
        is not None
    )

# SPDX-License-Identifier: Apache-2.0
"""Which projects may use a private type. Public types have no list: everybody may use them."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from breezeblock.model.errors import BadRequest, Conflict, NotFound
from breezeblock.model.volume_type import VolumeType
from breezeblock.store.schema import volume_type_access as access
from breezeblock.store.transaction import Tx


def projects(tx: Tx, type_id: str) -> list[str]:
    """Sorted."""
    rows = tx.rows(
        select(access.c.project_id).where(access.c.volume_type_id == type_id).order_by(access.c.project_id)
    )
    return [row.project_id for row in rows]


def grant(tx: Tx, kind: VolumeType, project_id: str) -> None:
    """Raises BadRequest (public), Conflict (granted before)."""
    _refuse_public(kind)
    try:
        with tx.part():
            tx.execute(insert(access), {"volume_type_id": kind.id, "project_id": project_id})
    except IntegrityError:
        raise Conflict(f"Project {project_id} has access to volume type {kind.id} already") from None


def revoke(tx: Tx, kind: VolumeType, project_id: str) -> None:
    """Raises BadRequest (public), NotFound (not granted). Volumes that the project has of the type stay."""
    _refuse_public(kind)
    mine = (access.c.volume_type_id == kind.id, access.c.project_id == project_id)
    if tx.execute(delete(access).where(*mine)).rowcount == 0:
        raise NotFound(f"Project {project_id} has no access to volume type {kind.id}")


def _refuse_public(kind: VolumeType) -> None:
    if kind.is_public:
        raise BadRequest(
            f"Volume type {kind.name} is public: there is no access to change",
            remedy="Make the type private first.",
        )

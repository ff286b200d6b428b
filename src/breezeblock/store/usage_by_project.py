# SPDX-License-Identifier: Apache-2.0
"""What projects have on a backend: counts and sizes for an administrator's eyes. Reads all rows of the backend."""

from __future__ import annotations

from sqlalchemy import func, select

from breezeblock.store.schema import snapshots, volumes
from breezeblock.store.transaction import Tx


def of_backend(tx: Tx, backend_id: str) -> list[tuple[str, int, int, int, int]]:
    """(project, volumes, their GiB, snapshots, their GiB), by project."""
    there: dict[str, list[int]] = {}
    for project, number, size in tx.rows(
        select(volumes.c.project_id, func.count(), func.sum(volumes.c.size))
        .where(volumes.c.backend_id == backend_id)
        .group_by(volumes.c.project_id)
    ):
        there[project] = [int(number), int(size), 0, 0]
    for project, number, size in tx.rows(
        select(snapshots.c.project_id, func.count(), func.sum(snapshots.c.size))
        .join(volumes, volumes.c.id == snapshots.c.volume_id)
        .where(volumes.c.backend_id == backend_id)
        .group_by(snapshots.c.project_id)
    ):
        there.setdefault(project, [0, 0, 0, 0])[2:] = [int(number), int(size)]
    return [(project, v, vs, s, ss) for project, (v, vs, s, ss) in sorted(there.items())]

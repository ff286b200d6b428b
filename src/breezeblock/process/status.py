# SPDX-License-Identifier: Apache-2.0
"""The facts of 'breezeblock status': roles, backends, pools, what is under way, and what an operator should know. Reads only."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from breezeblock import __version__
from breezeblock.model.units import MiB, human
from breezeblock.process.backends import RunningBackend
from breezeblock.store import history, pools
from breezeblock.store.database import Store
from breezeblock.store.schema import attachments, debts
from breezeblock.store.transaction import Tx


class Status:
    def __init__(
        self,
        store: Store,
        backends: Sequence[RunningBackend],
        *,
        folder: Path,
        database: str,
        roles: Sequence[str],
        host: str,
        boot_id: str,
        started_at: str,
    ) -> None:
        self._store, self._backends = store, backends
        self._facts = {
            "data_folder": str(folder),
            "database": database,
            "roles": list(roles),
            "started_at": started_at,
        }
        self._host, self._began = {"name": host, "boot_id": boot_id}, time.monotonic()

    async def read(self) -> Mapping[str, Any]:
        rows = await self._store.read(self._rows)
        return {
            "version": __version__,
            **self._facts,
            "uptime_seconds": round(time.monotonic() - self._began, 1),
            "memory_mib": round(memory_bytes() / MiB, 1),
            "host": self._host,
            **rows,
        }

    def _rows(self, tx: Tx) -> dict[str, Any]:
        owed = int(tx.execute(select(func.count()).select_from(debts)).scalar_one())
        warnings = [f"backend {b.name} is down: {b.reason}" for b in self._backends if b.reason]
        found = pools.page(tx)
        warnings += [
            f"pool {p.host}: {p.report.get('reason')}" for p in found if not p.report.get("usable", True)
        ]
        warnings += [
            f"the connection of volume {id} is broken: 'breezeblock explain {id}' says why; detach it, then attach it again"
            for id in _broken(tx)
        ]
        if owed:
            warnings.append(f"{owed} undo steps are owed to backends (see findings)")
        return {
            "backends": [
                {"id": b.id, "name": b.name, "state": "down" if b.reason else "up", "reason": b.reason}
                for b in self._backends
            ],
            "pools": [
                {
                    "name": p.host,
                    "total": p.report["total"],
                    "free": p.report["free"],
                    "allocated": p.report["allocated"],
                    "provisioned": p.report["provisioned"],
                    "reserved": p.reserved_bytes,
                    "volumes": p.volumes,
                    "free_text": human(p.report["free"]),
                }
                for p in found
            ],
            "operations": history.counts(tx),
            "attached": int(
                tx.execute(
                    select(func.count())
                    .select_from(attachments)
                    .where(attachments.c.attach_status == "attached")
                ).scalar_one()
            ),
            "warnings": warnings,
        }


def _broken(tx: Tx, most: int = 10) -> list[str]:
    """Volumes whose device was lost and could not be brought back, or whose export could not be ended."""
    failed = attachments.c.attach_status.in_(("error_attaching", "error_detaching"))
    return [row.volume_id for row in tx.rows(select(attachments.c.volume_id).where(failed).limit(most))]


def memory_bytes() -> int:
    """Resident memory of this process (/proc/self/statm, proc(5))."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

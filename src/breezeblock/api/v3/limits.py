# SPDX-License-Identifier: Apache-2.0
"""The caller's absolute limits and, where policy allows, what is used of them."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.route import Query, route
from breezeblock.store import quotas
from breezeblock.store.transaction import Tx

#: An administrator may ask for another project's from here on.
OTHERS = 39

_MAXIMA = {
    "maxTotalVolumeGigabytes": "gigabytes",
    "maxTotalBackupGigabytes": "backup_gigabytes",
    "maxTotalVolumes": "volumes",
    "maxTotalSnapshots": "snapshots",
    "maxTotalBackups": "backups",
}
_USED = {
    "totalVolumesUsed": "volumes",
    "totalGigabytesUsed": "gigabytes",
    "totalSnapshotsUsed": "snapshots",
    "totalBackupsUsed": "backups",
    "totalBackupGigabytesUsed": "backup_gigabytes",
}


class Limits(msgspec.Struct, frozen=True):
    rate: list[dict[str, Any]]
    absolute: dict[str, int]


class Answer(msgspec.Struct, frozen=True):
    limits: Limits


@route("limits.show", "GET /limits", query=(Query(name="project_id", schema={"type": "string"}),))
def show(call: Call, tx: Tx) -> Answer:
    """Absolute limits and usage."""
    project = call.caller.project_id
    if call.version >= OTHERS and call.caller.is_admin:
        project = call.query.get("project_id") or call.query.get("tenant_id") or project
    limits = quotas.limits(tx, project)
    absolute = {shown: limits[key] for shown, key in _MAXIMA.items()}
    if call.allows("limits_extension:used_limits"):
        used = quotas.used(tx, project)
        absolute |= {shown: used.get(key, 0) for shown, key in _USED.items()}
    return Answer(Limits([], absolute))

# SPDX-License-Identifier: Apache-2.0
"""The extensions of old, which clients still ask for: all of them are part of the API."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.route import PLAIN, route
from breezeblock.model.errors import NotFound

#: alias -> name
_KNOWN = {
    "backups": "Backups",
    "capabilities": "Capabilities",
    "cgsnapshots": "Cgsnapshots",
    "consistencygroups": "Consistencygroups",
    "encryption": "VolumeTypeEncryption",
    "OS-SCH-HNT": "SchedulerHints",
    "os-admin-actions": "AdminActions",
    "os-availability-zone": "AvailabilityZones",
    "os-extended-services": "ExtendedServices",
    "os-extended-snapshot-attributes": "ExtendedSnapshotAttributes",
    "os-hosts": "Hosts",
    "os-quota-class-sets": "QuotaClasses",
    "os-quota-sets": "Quotas",
    "os-services": "Services",
    "os-snapshot-actions": "SnapshotActions",
    "os-snapshot-manage": "SnapshotManage",
    "os-snapshot-unmanage": "SnapshotUnmanage",
    "os-types-extra-specs": "TypesExtraSpecs",
    "os-types-manage": "TypesManage",
    "os-used-limits": "UsedLimits",
    "os-vol-host-attr": "VolumeHostAttribute",
    "os-vol-image-meta": "VolumeImageMetadata",
    "os-vol-mig-status-attr": "VolumeMigStatusAttribute",
    "os-vol-tenant-attr": "VolumeTenantAttribute",
    "os-volume-actions": "VolumeActions",
    "os-volume-encryption-metadata": "VolumeEncryptionMetadata",
    "os-volume-manage": "VolumeManage",
    "os-volume-transfer": "VolumeTransfer",
    "os-volume-type-access": "VolumeTypeAccess",
    "os-volume-unmanage": "VolumeUnmanage",
    "qos-specs": "Qos_specs_manage",
    "scheduler-stats": "Scheduler_stats",
}
_UPDATED = "2026-01-01T00:00:00+00:00"


class Extension(msgspec.Struct, frozen=True):
    name: str
    alias: str
    description: str
    updated: str
    links: list[dict[str, Any]]


class AllExtensions(msgspec.Struct, frozen=True):
    extensions: list[Extension]


class OneExtension(msgspec.Struct, frozen=True):
    extension: Extension


@route("extensions.list", "GET /extensions", hop=PLAIN)
def index(call: Call) -> AllExtensions:
    """List extensions."""
    return AllExtensions([_extension(alias) for alias in _KNOWN])


@route("extensions.show", "GET /extensions/{alias}", hop=PLAIN)
def show(call: Call, alias: str) -> OneExtension:
    """Show an extension."""
    if alias not in _KNOWN:
        raise NotFound(f"There is no extension {alias}")
    return OneExtension(_extension(alias))


def _extension(alias: str) -> Extension:
    return Extension(_KNOWN[alias], alias, "Part of the Block Storage API v3.", _UPDATED, [])

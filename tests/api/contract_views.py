# SPDX-License-Identifier: Apache-2.0
"""The fields of every body, by the microversion that brought them. `admin` fields are for administrators, `extended` ones are missing
from the answers of create and update. Facts, so that a field too many fails as a field too few."""

VOLUME_SUMMARY = {"id", "name", "links"}

VOLUME = {
    0: {
        "id", "status", "size", "availability_zone", "created_at", "updated_at", "name", "description", "volume_type",
        "snapshot_id", "source_volid", "metadata", "links", "user_id", "bootable", "encrypted", "replication_status",
        "consistencygroup_id", "multiattach", "attachments",
    },
    13: {"group_id"},
    48: {"shared_targets", "service_uuid"},
    63: {"volume_type_id"},
    65: {"consumes_quota"},
}  # fmt: skip
VOLUME_ADMIN = {0: {"migration_status"}, 21: {"provider_id"}, 61: {"cluster_name"}}
VOLUME_EXTENDED = {"os-vol-tenant-attr:tenant_id"}
VOLUME_EXTENDED_ADMIN = {
    "os-vol-host-attr:host",
    "os-vol-mig-status-attr:migstat",
    "os-vol-mig-status-attr:name_id",
}

ATTACHED = {"id", "attachment_id", "volume_id", "server_id", "host_name", "device", "attached_at"}

SNAPSHOT = {
    0: {"id", "name", "description", "status", "size", "volume_id", "metadata", "created_at", "updated_at"},
    14: {"group_snapshot_id"},
    41: {"user_id"},
    65: {"consumes_quota"},
}
SNAPSHOT_EXTENDED = {"os-extended-snapshot-attributes:project_id", "os-extended-snapshot-attributes:progress"}

ATTACHMENT_SUMMARY = {"id", "status", "instance", "volume_id"}
ATTACHMENT = ATTACHMENT_SUMMARY | {"attached_at", "detached_at", "attach_mode", "connection_info"}

SERVICE = {
    0: {"binary", "host", "zone", "status", "state", "updated_at", "disabled_reason"},
    7: {"cluster"},
}
SERVICE_VOLUME = {0: {"replication_status", "active_backend_id", "frozen"}, 49: {"backend_state"}}

MESSAGE = {
    "id", "event_id", "user_message", "message_level", "created_at", "guaranteed_until", "request_id", "links", "resource_type",
    "resource_uuid",
}  # fmt: skip

LIMITS = {
    "maxTotalVolumeGigabytes", "maxTotalBackupGigabytes", "maxTotalVolumes", "maxTotalSnapshots", "maxTotalBackups",
    "totalVolumesUsed", "totalGigabytesUsed", "totalSnapshotsUsed", "totalBackupsUsed", "totalBackupGigabytesUsed",
}  # fmt: skip

QUOTAS = {
    "volumes",
    "snapshots",
    "gigabytes",
    "backups",
    "backup_gigabytes",
    "groups",
    "per_volume_gigabytes",
}


def fields(by_version: dict[int, set[str]], minor: int) -> set[str]:
    """What there is at a version."""
    return {name for since, names in by_version.items() if since <= minor for name in names}


#: Versions at which some body changes, and the one before each.
MINORS = sorted({0, 71} | {m + d for m in (13, 14, 21, 41, 48, 61, 63, 64, 65, 69) for d in (-1, 0)})

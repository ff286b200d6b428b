# SPDX-License-Identifier: Apache-2.0
"""A volume as the database knows it. JSON columns stay encoded (the list path sends them as they are); properties decode them."""

from __future__ import annotations

import msgspec

from breezeblock.model.attachment import Attachment


class Volume(msgspec.Struct, frozen=True, kw_only=False):
    """`size` in GiB as the API has it. Times are UTC text `2026-11-21T07:43:43.000000`. Field order = column order of store.volumes."""

    id: str
    project_id: str
    user_id: str
    name: str | None
    description: str | None
    size: int
    status: str
    previous_status: str | None
    attach_status: str
    migration_status: str | None
    availability_zone: str | None
    volume_type_id: str | None
    volume_type: str | None
    snapshot_id: str | None
    source_volid: str | None
    bootable: bool
    multiattach: bool
    encryption_key_id: str | None
    replication_status: str | None
    consistencygroup_id: str | None
    group_id: str | None
    provider_id: str | None
    shared_targets: bool | None
    service_uuid: str | None
    cluster_name: str | None
    consumes_quota: bool
    #: host@backend#pool, made from backend_id and pool; None: not placed yet.
    host: str | None
    backend_id: str | None
    pool: str | None
    name_id: str | None
    metadata_json: str
    admin_metadata_json: str
    image_metadata_json: str
    #: the driver's Object as JSON; "" until it exists.
    object_json: str
    operation_id: str | None
    status_since: str | None
    version: int
    launched_at: str | None
    created_at: str
    updated_at: str | None
    #: side-loaded by the store; only rows that are not deleted.
    attachments: tuple[Attachment, ...] = ()

    @property
    def metadata(self) -> dict[str, str]:
        return msgspec.json.decode(self.metadata_json, type=dict[str, str])

    @property
    def admin_metadata(self) -> dict[str, str]:
        return msgspec.json.decode(self.admin_metadata_json, type=dict[str, str])

    @property
    def image_metadata(self) -> dict[str, str]:
        return msgspec.json.decode(self.image_metadata_json, type=dict[str, str])

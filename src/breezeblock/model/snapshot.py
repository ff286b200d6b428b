# SPDX-License-Identifier: Apache-2.0
"""A snapshot: a volume's content at a point in time."""

from __future__ import annotations

import msgspec


class Snapshot(msgspec.Struct, frozen=True):
    """`size` (GiB) is the volume's when it was taken. Field order = column order of store.snapshots."""

    id: str
    volume_id: str
    project_id: str
    user_id: str
    name: str | None
    description: str | None
    size: int
    status: str
    progress: str
    volume_type_id: str | None
    group_snapshot_id: str | None
    consumes_quota: bool
    metadata_json: str
    object_json: str
    operation_id: str | None
    status_since: str | None
    version: int
    created_at: str
    updated_at: str | None

    @property
    def metadata(self) -> dict[str, str]:
        return msgspec.json.decode(self.metadata_json, type=dict[str, str])

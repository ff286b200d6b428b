# SPDX-License-Identifier: Apache-2.0
"""A snapshot as the API shows it. The plain list keeps the shape of 3.0 at every version; the attributes of the extensions are on show
and the detail list only."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from breezeblock.api.call import Call
from breezeblock.api.views.links import Link
from breezeblock.model.snapshot import Snapshot


class SnapshotDetail(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str | None
    description: str | None
    status: str
    size: int
    volume_id: str
    metadata: Raw
    created_at: str
    updated_at: str | None
    group_snapshot_id: str | UnsetType | None = UNSET
    user_id: str | UnsetType = UNSET
    consumes_quota: bool | UnsetType = UNSET
    project_id: str | UnsetType = field(name="os-extended-snapshot-attributes:project_id", default=UNSET)
    progress: str | UnsetType = field(name="os-extended-snapshot-attributes:progress", default=UNSET)


class OneSnapshot(msgspec.Struct, frozen=True):
    snapshot: SnapshotDetail


class SnapshotList(msgspec.Struct, frozen=True):
    snapshots: list[SnapshotDetail]
    snapshots_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


def one(call: Call, snapshot: Snapshot, *, extended: bool = True) -> OneSnapshot:
    return OneSnapshot(details(call, (snapshot,), extended=extended)[0])


def summaries(snapshots: Iterable[Snapshot]) -> list[SnapshotDetail]:
    return [
        SnapshotDetail(
            s.id,
            s.name,
            s.description,
            s.status,
            s.size,
            s.volume_id,
            Raw(s.metadata_json),
            s.created_at,
            s.updated_at,
        )
        for s in snapshots
    ]


def details(call: Call, snapshots: Iterable[Snapshot], *, extended: bool = True) -> list[SnapshotDetail]:
    """`extended` False: the answers of create and update."""
    with_group, with_user, with_quota = call.version >= 14, call.version >= 41, call.version >= 65
    with_more = extended and call.allows("volume_extension:extended_snapshot_attributes")
    unset = UNSET
    return [
        SnapshotDetail(
            s.id,
            s.name,
            s.description,
            s.status,
            s.size,
            s.volume_id,
            Raw(s.metadata_json),
            s.created_at,
            s.updated_at,
            s.group_snapshot_id if with_group else unset,
            s.user_id if with_user else unset,
            s.consumes_quota if with_quota else unset,
            s.project_id if with_more else unset,
            s.progress if with_more else unset,
        )
        for s in snapshots
    ]

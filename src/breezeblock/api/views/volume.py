# SPDX-License-Identifier: Apache-2.0
"""A volume as the API shows it, from 3.0 to 3.71. One Struct holds every field that any version has; `Shape` says once per request which
of them this caller gets, and the rest stay UNSET. The detail list of a thousand volumes is made here, so the loop is plain: no dict,
no property, no decoding (metadata goes out as the text that is stored, unless an administrator's keys must be merged in)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from breezeblock.api.call import Call
from breezeblock.api.views import links
from breezeblock.api.views.links import Link
from breezeblock.model.status import VOLUME
from breezeblock.model.volume import Volume

_EMPTY = Raw(b"{}")
#: Encrypted with the fixed key of no key service; never shown.
_FIXED_KEY = "00000000-0000-0000-0000-000000000000"
#: Administrators' keys that are shown among the user's.
_MERGED = ("readonly", "attached_mode")
#: Status that the API shows as another one.
_MASKED = {name: state.shown_as for name, state in VOLUME.items() if state.shown_as}


class VolumeSummary(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str | None
    links: Raw


class AttachedTo(msgspec.Struct, frozen=True):
    """An item of a volume's `attachments`; `id` is the volume's, as it always was."""

    id: str
    attachment_id: str
    volume_id: str
    server_id: str | None
    host_name: str | None
    device: str | None
    attached_at: str | None


#: Shared by all volumes that nothing is attached to; never changed.
_NONE: list[AttachedTo] = []


class VolumeDetail(msgspec.Struct, frozen=True, gc=False):
    id: str
    status: str
    size: int
    availability_zone: str | None
    created_at: str
    updated_at: str | None
    name: str | None
    description: str | None
    volume_type: str | None
    snapshot_id: str | None
    source_volid: str | None
    metadata: Raw
    links: Raw
    user_id: str
    bootable: str
    encrypted: bool
    replication_status: str | None
    consistencygroup_id: str | None
    multiattach: bool
    attachments: list[AttachedTo]
    migration_status: str | UnsetType | None = UNSET
    group_id: str | UnsetType | None = UNSET
    provider_id: str | UnsetType | None = UNSET
    shared_targets: bool | UnsetType | None = UNSET
    service_uuid: str | UnsetType | None = UNSET
    cluster_name: str | UnsetType | None = UNSET
    volume_type_id: str | UnsetType | None = UNSET
    encryption_key_id: str | UnsetType = UNSET
    consumes_quota: bool | UnsetType = UNSET
    host: str | UnsetType | None = field(name="os-vol-host-attr:host", default=UNSET)
    tenant_id: str | UnsetType = field(name="os-vol-tenant-attr:tenant_id", default=UNSET)
    migstat: str | UnsetType | None = field(name="os-vol-mig-status-attr:migstat", default=UNSET)
    name_id: str | UnsetType | None = field(name="os-vol-mig-status-attr:name_id", default=UNSET)
    volume_image_metadata: Raw | UnsetType = UNSET


class OneVolume(msgspec.Struct, frozen=True):
    volume: VolumeDetail


class VolumeList(msgspec.Struct, frozen=True):
    volumes: list[VolumeSummary]
    volumes_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class VolumeDetailList(msgspec.Struct, frozen=True):
    volumes: list[VolumeDetail]
    volumes_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class Totals(msgspec.Struct, frozen=True):
    total_count: int
    total_size: int
    metadata: dict[str, list[str]] | UnsetType = UNSET


class VolumeTotals(msgspec.Struct, frozen=True):
    totals: Totals = field(name="volume-summary")


def summaries(call: Call, volumes: Iterable[Volume]) -> list[VolumeSummary]:
    pair = links.pair(call, "volumes")
    return [VolumeSummary(v.id, v.name, pair(v.id)) for v in volumes]


def one(call: Call, volume: Volume, *, extended: bool = True) -> OneVolume:
    return OneVolume(_details(call, _shape(call, extended), (volume,))[0])


def page(call: Call, volumes: Sequence[Volume]) -> list[VolumeDetail]:
    """The details of a list: Raw, each an encoded VolumeDetail, which is what the type says for the document of the API."""
    shape = _shape(call, extended=True)
    way = (shape, call.origin, call.project_part)
    encoded = call.services.shown.encoded(way, volumes, lambda new: _details(call, shape, new))
    return cast("list[VolumeDetail]", encoded)


class Shape(NamedTuple):
    """Which fields this caller gets: all that an answer depends on besides the volume and its links."""

    version: int
    admin: bool
    #: attachments name their hosts.
    hosts: bool
    host: bool
    tenant: bool
    migration: bool
    image: bool


def _shape(call: Call, extended: bool) -> Shape:
    """`extended` False: the answers of create and update, which lack the attributes of the extensions."""
    return Shape(
        call.version,
        call.caller.is_admin,
        call.caller.is_admin or "service" in call.caller.roles,
        extended and call.allows("volume_extension:volume_host_attribute"),
        extended and call.allows("volume_extension:volume_tenant_attribute"),
        extended and call.allows("volume_extension:volume_mig_status_attribute"),
        extended and call.allows("volume_extension:volume_image_metadata:show"),
    )


def _details(call: Call, shape: Shape, volumes: Sequence[Volume]) -> list[VolumeDetail]:
    version, admin, hosts, with_host, with_tenant, with_migration, with_image = shape
    pair = links.pair(call, "volumes")
    with_group, with_targets, with_type_id = version >= 13, version >= 48, version >= 63
    with_quota, with_key, nullable_targets = version >= 65, version >= 64, version >= 69
    with_provider, with_cluster = admin and version >= 21, admin and version >= 61
    make, unset, raw = VolumeDetail, UNSET, Raw
    return [
        make(
            v.id,
            _MASKED.get(v.status, v.status),
            v.size,
            v.availability_zone,
            v.created_at,
            v.updated_at,
            v.name,
            v.description,
            v.volume_type,
            v.snapshot_id,
            v.source_volid,
            (_EMPTY if v.metadata_json == "{}" else raw(v.metadata_json))
            if v.admin_metadata_json == "{}"
            else _merged(v),
            pair(v.id),
            v.user_id,
            "true" if v.bootable else "false",
            v.encryption_key_id is not None,
            v.replication_status,
            v.consistencygroup_id,
            v.multiattach,
            _attached(v, hosts) if v.attachments else _NONE,
            v.migration_status if admin else unset,
            v.group_id if with_group else unset,
            v.provider_id if with_provider else unset,
            (v.shared_targets if nullable_targets or v.shared_targets is not None else True)
            if with_targets
            else unset,
            v.service_uuid if with_targets else unset,
            v.cluster_name if with_cluster else unset,
            v.volume_type_id if with_type_id else unset,
            v.encryption_key_id
            if with_key and v.encryption_key_id is not None and v.encryption_key_id != _FIXED_KEY
            else unset,
            v.consumes_quota if with_quota else unset,
            v.host if with_host else unset,
            v.project_id if with_tenant else unset,
            v.migration_status if with_migration else unset,
            v.name_id if with_migration else unset,
            raw(v.image_metadata_json) if with_image and v.image_metadata_json != "{}" else unset,
        )
        for v in volumes
    ]


def _merged(volume: Volume) -> Raw:
    """The user's metadata with those keys of the administrators' that are shown."""
    hidden = volume.admin_metadata
    over = {key: hidden[key] for key in _MERGED if key in hidden}
    if not over:
        return Raw(volume.metadata_json)
    return Raw(msgspec.json.encode({**volume.metadata, **over}))


def _attached(volume: Volume, hosts: bool) -> list[AttachedTo]:
    return [
        AttachedTo(
            volume.id,
            a.id,
            volume.id,
            a.instance_uuid,
            a.attached_host if hosts else None,
            a.mountpoint,
            a.attach_time,
        )
        for a in volume.attachments
        if a.attach_status == "attached"
    ]

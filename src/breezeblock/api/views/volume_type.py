# SPDX-License-Identifier: Apache-2.0
"""A volume type as the API shows it: extra specs only as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType, field

from breezeblock.api.call import Call
from breezeblock.api.views.links import Link
from breezeblock.model.volume_type import VolumeType

#: What those see who may not read all specs.
USER_VISIBLE = frozenset({"RESKEY:availability_zones", "multiattach", "replication_enabled"})

Specs = dict[str, str | None]


class TypeDetail(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    extra_specs: Specs | UnsetType = UNSET
    qos_specs_id: str | UnsetType | None = UNSET
    access_is_public: bool | UnsetType = field(name="os-volume-type-access:is_public", default=UNSET)


class OneType(msgspec.Struct, frozen=True):
    volume_type: TypeDetail


class TypeList(msgspec.Struct, frozen=True):
    volume_types: list[TypeDetail]
    volume_type_links: list[Link] | UnsetType = UNSET


def visible_specs(call: Call, specs: Mapping[str, str | None]) -> Specs:
    if call.allows("volume_extension:types_extra_specs:read_sensitive"):
        return dict(specs)
    return {key: value for key, value in specs.items() if key in USER_VISIBLE}


def detail(call: Call, kind: VolumeType, *, created: bool = False) -> TypeDetail:
    with_qos = not created and call.allows("volume_extension:access_types_qos_specs_id")
    return TypeDetail(
        kind.id,
        kind.name,
        kind.description,
        kind.is_public,
        visible_specs(call, kind.extra_specs)
        if call.allows("volume_extension:access_types_extra_specs")
        else UNSET,
        kind.qos_specs_id if with_qos else UNSET,
        kind.is_public if call.allows("volume_extension:volume_type_access") else UNSET,
    )

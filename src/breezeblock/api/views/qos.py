# SPDX-License-Identifier: Apache-2.0
"""QoS specs and their associations as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.views import links
from breezeblock.api.views.links import Link
from breezeblock.model.qos import QosSpecs
from breezeblock.model.volume_type import VolumeType


class Detail(msgspec.Struct, frozen=True):
    id: str
    name: str
    consumer: str
    specs: dict[str, str]


class One(msgspec.Struct, frozen=True):
    """The links stand beside the specs."""

    qos_specs: Detail
    links: msgspec.Raw


class Page(msgspec.Struct, frozen=True):
    qos_specs: list[Detail]
    qos_specs_links: list[Link] | UnsetType = UNSET


class Association(msgspec.Struct, frozen=True):
    association_type: str
    name: str
    id: str


class Associations(msgspec.Struct, frozen=True):
    qos_associations: list[Association]


class Echo(msgspec.Struct, frozen=True):
    """What an update was given."""

    qos_specs: dict[str, Any]


def detail(found: QosSpecs) -> Detail:
    return Detail(found.id, found.name, found.consumer, found.specs)


def one(call: Call, found: QosSpecs) -> One:
    return One(detail(found), links.pair(call, "qos-specs")(found.id))


def associations(kinds: Iterable[VolumeType]) -> Associations:
    return Associations([Association("volume_type", kind.name, kind.id) for kind in kinds])

# SPDX-License-Identifier: Apache-2.0
"""Offers of volumes as the API shows them; the key only where the offer is made."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.views.links import Link, pair
from breezeblock.model.transfer import Transfer

NO_SNAPSHOTS, HISTORY = 55, 57


class Summary(msgspec.Struct, frozen=True):
    id: str
    volume_id: str
    name: str | None
    links: Raw


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: str
    name: str | None
    volume_id: str
    links: Raw
    no_snapshots: bool | UnsetType = UNSET
    source_project_id: str | UnsetType = UNSET
    destination_project_id: str | UnsetType | None = UNSET
    accepted: bool | UnsetType = UNSET
    auth_key: str | UnsetType = UNSET


class OneSummary(msgspec.Struct, frozen=True):
    transfer: Summary


class One(msgspec.Struct, frozen=True):
    transfer: Detail


class Summaries(msgspec.Struct, frozen=True):
    transfers: list[Summary]
    transfers_links: list[Link] | UnsetType = UNSET


class Details(msgspec.Struct, frozen=True):
    transfers: list[Detail]
    transfers_links: list[Link] | UnsetType = UNSET


def summary(call: Call, found: Transfer) -> Summary:
    return Summary(found.id, found.volume_id, found.name, pair(call, "volume-transfers")(found.id))


def detail(call: Call, found: Transfer, auth_key: str | UnsetType = UNSET) -> Detail:
    """An offer that is there was not accepted: an accepted one is gone."""
    history = call.version >= HISTORY
    return Detail(
        id=found.id,
        created_at=found.created_at,
        name=found.name,
        volume_id=found.volume_id,
        links=pair(call, "volume-transfers")(found.id),
        no_snapshots=found.no_snapshots if call.version >= NO_SNAPSHOTS else UNSET,
        source_project_id=found.project_id if history else UNSET,
        destination_project_id=None if history else UNSET,
        accepted=False if history else UNSET,
        auth_key=auth_key,
    )

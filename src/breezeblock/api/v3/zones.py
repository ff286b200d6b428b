# SPDX-License-Identifier: Apache-2.0
"""Availability zones: those that backends are in; available while one of their backends is."""

from __future__ import annotations

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.route import route
from breezeblock.store import pools
from breezeblock.store.transaction import Tx


class ZoneState(msgspec.Struct, frozen=True):
    available: bool


class Zone(msgspec.Struct, frozen=True):
    zone_name: str = msgspec.field(name="zoneName")
    zone_state: ZoneState = msgspec.field(name="zoneState")


class Answer(msgspec.Struct, frozen=True):
    zones: list[Zone] = msgspec.field(name="availabilityZoneInfo")


@route("availability_zones.list", "GET /os-availability-zone")
def index(call: Call, tx: Tx) -> Answer:
    """List availability zones."""
    usable: dict[str, bool] = {}
    for backend in pools.all_backends(tx):
        zone = backend.availability_zone
        usable[zone] = usable.get(zone, False) or (backend.enabled and backend.state == "up")
    if not usable:
        usable = {call.services.facts.default_availability_zone: False}
    return Answer([Zone(name, ZoneState(up)) for name, up in sorted(usable.items())])

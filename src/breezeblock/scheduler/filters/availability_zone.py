# SPDX-License-Identifier: Apache-2.0
"""Is the pool in a zone that was asked for? A list of zones wins over a single zone; the type's own list (RESKEY:availability_zones)
counts when the request brings none; nothing asked is nothing refused."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME = "availability_zone"


def availability_zone(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    zones = wanted(request)
    if not zones:
        return Verdict(NAME, True, "no zone was asked for")
    needed, had = " or ".join(zones), pool.availability_zone
    if had in zones:
        return Verdict(NAME, True, f"it is in zone {had}", needed=needed, had=had)
    return Verdict(NAME, False, f"it is in zone {had or 'none'}, not in {needed}", needed=needed, had=had)


def wanted(request: PlacementRequest) -> tuple[str, ...]:
    if request.availability_zones:
        return request.availability_zones
    if request.availability_zone:
        return (request.availability_zone,)
    of_type = request.extra_specs.get("RESKEY:availability_zones") or ""
    return tuple(zone.strip() for zone in of_type.split(",") if zone.strip())

# SPDX-License-Identifier: Apache-2.0
"""Is there anybody to do the work? Always asked first and not to be switched off: a pool whose service is down, disabled or frozen, or
which has not reported, is no candidate (contract, scheduler 2)."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME = "service"


def service(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    for wrong, had, detail in (
        (not pool.enabled, "disabled", "an administrator disabled the service"),
        (pool.frozen, "frozen", "an administrator froze the service"),
        (not pool.up, "down", "the service has not been heard of lately"),
        (not pool.reported, "no report", "the pool has not reported its capabilities yet"),
        (not pool.usable, "refusing", f"the backend takes no new data: {pool.reason or 'it gave no reason'}"),
    ):
        if wrong:
            return Verdict(NAME, False, detail, needed="up and enabled", had=had)
    return Verdict(NAME, True, "up and enabled")

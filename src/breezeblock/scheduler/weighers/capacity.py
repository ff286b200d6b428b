# SPDX-License-Identifier: Apache-2.0
"""Prefers the pool with the most room (or, with a negative multiplier, the least: volumes are packed). A pool that cannot tell its space
comes last when spreading, and far behind every other when packing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.capacity import room
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

#: How far an unknown pool is put beyond the greatest known one: this many times their spread ...
_SPREADS_BEYOND = 100
#: ... or this many GiB when they are all equal.
_GIB_BEYOND = 10_000.0


def capacity(
    request: PlacementRequest, pools: Sequence[PoolState], policy: Policy, multiplier: float
) -> list[float]:
    measured = [_free(request, pool, policy, multiplier) for pool in pools]
    known = [value for value in measured if not math.isinf(value)]
    if len(known) == len(measured):
        return measured
    most, least = (max(known), min(known)) if known else (0.0, 0.0)
    beyond = most + ((most - least) * _SPREADS_BEYOND or _GIB_BEYOND)
    return [beyond if math.isinf(value) else value for value in measured]


def _free(request: PlacementRequest, pool: PoolState, policy: Policy, multiplier: float) -> float:
    total, free = pool.total_gib(), pool.free_gib()
    if isinstance(total, str) or isinstance(free, str) or free is None:
        return -1.0 if multiplier > 0 else math.inf
    ratio = policy.max_over_subscription_ratio
    return room(pool, total, free, thin=request.wants_thin(), default_ratio=ratio).virtual_free

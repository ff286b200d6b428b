# SPDX-License-Identifier: Apache-2.0
"""Prefers the pool with the least allocated (its default multiplier is negative), whatever its size. In GiB, promises included."""

from __future__ import annotations

from collections.abc import Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest


def allocated_capacity(
    request: PlacementRequest, pools: Sequence[PoolState], policy: Policy, multiplier: float
) -> list[float]:
    return [pool.allocated_gib() for pool in pools]

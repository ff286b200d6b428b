# SPDX-License-Identifier: Apache-2.0
"""Prefers the pool with the fewest volumes (its default multiplier is negative)."""

from __future__ import annotations

from collections.abc import Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest


def volume_number(
    request: PlacementRequest, pools: Sequence[PoolState], policy: Policy, multiplier: float
) -> list[float]:
    return [float(pool.volumes) for pool in pools]

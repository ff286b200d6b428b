# SPDX-License-Identifier: Apache-2.0
"""Prefers nobody: a number drawn from the request and the pool's name, so that the same request decided again draws the same, on any
machine and in any order of the pools. Requests differ, so the load spreads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest


def draw(*about: str) -> float:
    """A number in 0 <= x < 1 that depends on these texts alone."""
    digest = hashlib.blake2b("\0".join(about).encode(), digest_size=6).digest()
    return int.from_bytes(digest) / (1 << 48)


def chance(
    request: PlacementRequest, pools: Sequence[PoolState], policy: Policy, multiplier: float
) -> list[float]:
    return [draw("chance", request.seed(), pool.host) for pool in pools]

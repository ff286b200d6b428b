# SPDX-License-Identifier: Apache-2.0
"""Prefers what the backends call good: their goodness_function, 0 to 100. No function, an error or a number outside counts as 0; true is
100. A protocol with several spellings is as good as its best one."""

from __future__ import annotations

from collections.abc import Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.expression import ExpressionError, Value
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.scheduler.scope import evaluate_for


def goodness(
    request: PlacementRequest, pools: Sequence[PoolState], policy: Policy, multiplier: float
) -> list[float]:
    return [_of(request, pool) for pool in pools]


def _of(request: PlacementRequest, pool: PoolState) -> float:
    if pool.goodness_function is None:
        return 0.0
    try:
        return max(_rated(result) for result in evaluate_for(pool.goodness_function, request, pool))
    except ExpressionError:
        return 0.0


def _rated(result: Value) -> float:
    if isinstance(result, bool):
        return 100.0 if result else 0.0
    if isinstance(result, int | float) and 0 <= result <= 100:
        return float(result)
    return 0.0

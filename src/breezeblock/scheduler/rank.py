# SPDX-License-Identifier: Apache-2.0
"""Puts the pools that passed in order, best first (contract, scheduler 4, combination). Owns the arithmetic of weights and the rule for
ties. Must never drop or add a pool."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Weight
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.scheduler.weighers import WEIGHERS
from breezeblock.scheduler.weighers.chance import draw


class Ranked(msgspec.Struct, frozen=True):
    pool: PoolState
    weight: float
    weights: tuple[Weight, ...]


def rank(request: PlacementRequest, pools: Sequence[PoolState], policy: Policy) -> list[Ranked]:
    columns = [_column(name, request, pools, policy) for name in policy.weighers]
    rows = zip(*columns, strict=True) if columns else ((),) * len(pools)
    ranked = [
        Ranked(pool, sum((weight.score for weight in weights), 0.0), tuple(weights))
        for pool, weights in zip(pools, rows, strict=True)
    ]
    if policy.weight_handler == "stochastic":
        return _drawn(request, sorted(ranked, key=lambda one: one.pool.host))
    # Equal weights are common (empty pools of one size). Lots, not the alphabet, decide then, or every scheduler fills the same pool.
    return sorted(ranked, key=lambda one: (-one.weight, draw("tie", request.seed(), one.pool.host)))


def _column(name: str, request: PlacementRequest, pools: Sequence[PoolState], policy: Policy) -> list[Weight]:
    """One weigher's word on every pool. The ordered handler scales its numbers to 0..1 first, so that GiB and counts can be added."""
    weigher, default = WEIGHERS[name]
    multiplier = policy.multipliers.get(name, default)
    raw = weigher(request, pools, policy, multiplier)
    if policy.weight_handler == "stochastic":
        scaled = raw
    else:
        least, spread = (min(raw), max(raw) - min(raw)) if raw else (0.0, 0.0)
        scaled = [(value - least) / spread if spread else 0.0 for value in raw]
    return [
        Weight(name, value, part * multiplier, multiplier) for value, part in zip(raw, scaled, strict=True)
    ]


def _drawn(request: PlacementRequest, ranked: list[Ranked]) -> list[Ranked]:
    """A lottery in which each pool has as many tickets as its weight; the list is turned until the winner leads. Below 0: none."""
    total = sum(max(one.weight, 0.0) for one in ranked)
    ticket = draw("lottery", request.seed()) * total
    for position, one in enumerate(ranked):
        ticket -= max(one.weight, 0.0)
        if ticket < 0:
            return ranked[position:] + ranked[:position]
    return ranked[-1:] + ranked[:-1]

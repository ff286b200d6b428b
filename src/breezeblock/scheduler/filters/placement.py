# SPDX-License-Identifier: Apache-2.0
"""Is this the one place that will do? Always asked: a clone stays beside its source, a growing volume where it is, a migration goes to its
destination. A reference with a pool means that pool, without one any pool of the backend (contract, scheduler 3)."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME = "placement"


def placement(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    if request.only_on is None:
        return Verdict(NAME, True, "any place will do")
    if pool.answers_to(request.only_on):
        return Verdict(NAME, True, f"{request.only_on} was asked for", needed=request.only_on, had=pool.host)
    return Verdict(NAME, False, f"only {request.only_on} will do", needed=request.only_on, had=pool.host)

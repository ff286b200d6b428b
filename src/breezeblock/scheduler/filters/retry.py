# SPDX-License-Identifier: Apache-2.0
"""Not again where it just failed: refuses the places that were tried for this very request."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME = "retry"


def retry(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    for place in request.excluded:
        if pool.answers_to(place):
            return Verdict(NAME, False, f"{place} was tried before and failed", needed="untried", had="tried")
    return Verdict(NAME, True, "not tried before")

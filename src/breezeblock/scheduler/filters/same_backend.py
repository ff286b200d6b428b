# SPDX-License-Identifier: Apache-2.0
"""Keeps a volume beside others: refuses every pool that holds none of the volumes named by the hint same_host."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.filters.neighbours import here, malformed, named
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME, HINT = "same_backend", "same_host"


def same_backend(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    ids = named(request, HINT)
    if not ids:
        return Verdict(NAME, True, f"no hint {HINT}")
    if (wrong := malformed(ids)) is not None:
        return Verdict(
            NAME, False, f"the hint {HINT} holds '{wrong}', which is no id", needed="ids", had=wrong
        )
    neighbours = here(request, pool, ids)
    if neighbours:
        detail = f"it holds {', '.join(neighbours)}, beside which the volume is wanted"
        return Verdict(NAME, True, detail, needed=1, had=len(neighbours), unit="volumes")
    return Verdict(NAME, False, f"it holds none of {', '.join(ids)}", needed=1, had=0, unit="volumes")

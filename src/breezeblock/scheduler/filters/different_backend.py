# SPDX-License-Identifier: Apache-2.0
"""Keeps a volume away from others: refuses the pool that holds a volume named by the hint different_host."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.filters.neighbours import here, malformed, named
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME, HINT = "different_backend", "different_host"


def different_backend(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    ids = named(request, HINT)
    if not ids:
        return Verdict(NAME, True, f"no hint {HINT}")
    if (wrong := malformed(ids)) is not None:
        return Verdict(
            NAME, False, f"the hint {HINT} holds '{wrong}', which is no id", needed="ids", had=wrong
        )
    neighbours = here(request, pool, ids)
    if neighbours:
        detail = f"it holds {', '.join(neighbours)}, from which the volume is to be kept apart"
        return Verdict(NAME, False, detail, needed=0, had=len(neighbours), unit="volumes")
    return Verdict(
        NAME, True, "it holds none of the volumes to be kept apart from", needed=0, had=0, unit="volumes"
    )

# SPDX-License-Identifier: Apache-2.0
"""Which of the volumes that a hint names are on this very pool? Shared by same_backend and different_backend. The caller has looked the
volumes up within the user's own scope, so a stranger's volume is as absent as one that does not exist."""

from __future__ import annotations

import uuid

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.request import PlacementRequest


def named(request: PlacementRequest, hint: str) -> list[str]:
    """The ids that the hint names: one, a list, or none."""
    value = request.hints.get(hint) or []
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def malformed(ids: list[str]) -> str | None:
    """The first that is no id."""
    for one in ids:
        try:
            uuid.UUID(one)
        except ValueError:
            return one
    return None


def here(request: PlacementRequest, pool: PoolState, ids: list[str]) -> list[str]:
    return [one for one in ids if request.located.get(one) == pool.host]

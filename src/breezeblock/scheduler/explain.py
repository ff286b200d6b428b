# SPDX-License-Identifier: Apache-2.0
"""A Decision in sentences, as an error with numbers and a remedy, and asked again under other circumstances. Must never decide by itself:
what it says of another case, it learns by deciding that case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from breezeblock.model.errors import NoBackend
from breezeblock.model.pool import PoolState
from breezeblock.model.units import GiB
from breezeblock.scheduler.capacity import gib
from breezeblock.scheduler.decide import decide
from breezeblock.scheduler.decision import Decision, PoolVerdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

#: Nobody asks for more than an exbibyte; bounds the search for the largest size.
_MOST_GIB = 1 << 30


def explain(decision: Decision) -> list[str]:
    """The outcome first, then each pool: the chosen one, those that passed from best to worst, those that were refused."""
    said = [_outcome(decision)]
    order = {host: position for position, host in enumerate(decision.ranked)}
    for pool in sorted(decision.pools, key=lambda one: (order.get(one.pool, len(order)), one.pool)):
        said.extend(_of_pool(pool))
    return said


def _outcome(decision: Decision) -> str:
    request = decision.request
    what = f"{request.operation} of {gib(request.requested() / GiB)}"
    if request.type_name:
        what += f", type {request.type_name}"
    if decision.chosen is None:
        return f"{what}: no pool was chosen, because {decision.reason}."
    return f"{what}: pool {decision.chosen} was chosen, because {decision.reason}."


def _of_pool(pool: PoolVerdict) -> list[str]:
    if pool.verdict == "refused":
        refused = [verdict for verdict in pool.filters if not verdict.passed]
        return [f"pool {pool.pool}: refused by {verdict.name}: {verdict.detail}." for verdict in refused]
    weighed = ", ".join(f"{w.name} {w.raw:g} x {w.multiplier:g} gave {w.score:.3f}" for w in pool.weights)
    reasons = f" ({weighed})" if weighed else ""
    return [f"pool {pool.pool}: {pool.verdict}, weight {pool.weight or 0:.3f}{reasons}."]


def no_backend(decision: Decision) -> NoBackend:
    """The error for a Decision without a pool. When room was all that was missing, it says how much there was."""
    needed: str | None = None
    had: str | None = None
    remedy = ""
    short = [_only_refusal(pool) for pool in decision.pools]
    rooms = [
        v.had for v in short if v is not None and v.name == "capacity" and isinstance(v.had, int | float)
    ]
    if rooms:
        needed = f"{gib(decision.request.requested() / GiB)} in one pool"
        had = f"at most {gib(max(*rooms, 0.0))}"
        remedy = "Ask for less, free space, or add a pool; 'breezeblock explain ID' has each pool's numbers."
    elif decision.pools:
        had = "; ".join(line.rstrip(".") for line in explain(decision)[1:4])
    return NoBackend(f"No pool can take the volume: {decision.reason}", needed=needed, had=had, remedy=remedy)


def _only_refusal(pool: PoolVerdict) -> Any:
    refused = [verdict for verdict in pool.filters if not verdict.passed]
    return refused[0] if len(refused) == 1 else None


class WhatIf(msgspec.Struct, frozen=True):
    """`before` is the present case, `after` the supposed one; `sentence` compares them."""

    before: Decision
    after: Decision
    sentence: str


def what_if(
    request: PlacementRequest,
    pools: Sequence[PoolState],
    policy: Policy,
    *,
    without: Sequence[str] = (),
    **changes: Any,
) -> WhatIf:
    """Decides twice: as things are, and with `changes` to the request (size=..., extra_specs=...) and the places in `without` gone."""
    before = decide(request, pools, policy)
    remaining = [pool for pool in pools if not any(pool.answers_to(place) for place in without)]
    after = decide(msgspec.structs.replace(request, **changes), remaining, policy)
    if before.chosen == after.chosen:
        sentence = f"It would change nothing: {after.chosen or 'no pool'}, because {after.reason}."
    elif after.chosen is None:
        sentence = f"It would find no pool, because {after.reason}; now it would go to {before.chosen}."
    else:
        sentence = (
            f"It would go to {after.chosen} instead of {before.chosen or 'nowhere'}, because {after.reason}."
        )
    return WhatIf(before, after, sentence)


def largest(request: PlacementRequest, pools: Sequence[PoolState], policy: Policy) -> int:
    """The largest whole number of GiB that would find a pool for a new volume like this; 0: none would."""

    def fits(size: int) -> bool:
        return (
            decide(msgspec.structs.replace(request, size=size * GiB, new_size=None), pools, policy).chosen
            is not None
        )

    low, high = 0, 1
    while high <= _MOST_GIB and fits(high):
        low, high = high, high * 2
    if high > _MOST_GIB:
        return _MOST_GIB
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low

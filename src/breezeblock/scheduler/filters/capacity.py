# SPDX-License-Identifier: Apache-2.0
"""Is there room? The contract's order of questions (scheduler 4), with the formula of scheduler.capacity. The answer tells the numbers
that decided, including what is promised to volumes that no report has counted yet."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.model.units import GiB
from breezeblock.scheduler.capacity import Room, gib, room
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME = "capacity"


def capacity(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    if request.lives_on is not None and pool.answers_to(request.lives_on):
        return Verdict(NAME, True, "the volume is here already and needs no new room")
    requested = request.requested() / GiB
    if requested == 0:
        return Verdict(NAME, True, "no new room is needed", needed=0, unit="GiB")
    total, free = pool.total_gib(), pool.free_gib()
    if free is None:
        return _refused(requested, "unknown", "the pool did not report its free space")
    if isinstance(free, str):
        return Verdict(NAME, True, f"its free space is {free}", needed=requested, had=free, unit="GiB")
    if isinstance(total, str):
        if pool.reserved_percentage == 0:
            return Verdict(NAME, True, f"its total space is {total}", needed=requested, had=total, unit="GiB")
        why = f"{pool.reserved_percentage} % must stay reserved of a total that is {total}"
        return _refused(requested, total, why)
    if total <= 0:
        return _refused(requested, total, "the pool reports no space at all")
    has = room(pool, total, free, thin=request.wants_thin(), default_ratio=policy.max_over_subscription_ratio)
    return _compare(requested, pool, has)


def _compare(requested: float, pool: PoolState, has: Room) -> Verdict:
    how = _circumstances(pool, has)
    if has.thin and has.ratio < 1:
        why = f"an over-subscription ratio below 1 cannot be used {how}"
        return _refused(requested, round(has.virtual_free, 2), why)
    fits = has.virtual_free >= requested
    if fits and has.thin:
        # Divides by a number that already contains the ratio: the contract's own way, kept.
        fits = (
            has.total_available > 0
            and (pool.provisioned_gib() + requested) / has.total_available <= has.ratio
        )
    if fits:
        detail = f"{gib(requested)} fit into {gib(has.virtual_free)} {how}"
        return Verdict(NAME, True, detail, needed=requested, had=has.virtual_free, unit="GiB")
    detail = f"needed {gib(requested)}, there was {gib(max(has.virtual_free, 0))} {how}"
    return _refused(requested, has.virtual_free, detail)


def _circumstances(pool: PoolState, has: Room) -> str:
    words = [f"thin, ratio {round(has.ratio, 2)}" if has.thin else "thick"]
    if pool.reserved_percentage:
        words.append(f"{pool.reserved_percentage} % reserved")
    if pool.reserved_bytes:
        words.append(f"{gib(pool.reserved_bytes / GiB)} promised to others")
    return f"({', '.join(words)})"


def _refused(requested: float, had: float | str, detail: str) -> Verdict:
    return Verdict(NAME, False, detail, needed=requested, had=had, unit="GiB")

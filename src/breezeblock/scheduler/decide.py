# SPDX-License-Identifier: Apache-2.0
"""Where a volume goes, and why. One function: every pool is asked by every filter, those that none refused are weighed, the first is
chosen, and all of it is written down. Pure: it looks at nothing but its arguments, changes nothing, and gives the same Decision for the
same request whatever the order of the pools. It must never choose a pool that a filter refused, and never hide a verdict.

    pools --> service, placement, then the policy's filters --> passed --> the policy's weighers --> ranked --> chosen
                                                           \\-> refused, each with the numbers that decided
"""

from __future__ import annotations

from collections.abc import Sequence

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Decision, PoolVerdict, Verdict
from breezeblock.scheduler.filters import FILTERS, Filter
from breezeblock.scheduler.filters.placement import placement
from breezeblock.scheduler.filters.service import service
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.rank import Ranked, rank
from breezeblock.scheduler.request import PlacementRequest


def decide(request: PlacementRequest, pools: Sequence[PoolState], policy: Policy) -> Decision:
    """The pool for `request`. `policy` has gone through names.check. Nothing found is a Decision too: its `chosen` is None."""
    pools = sorted(pools, key=lambda pool: pool.host)
    filters: list[Filter] = [service, placement, *(FILTERS[name] for name in policy.filters)]
    # Every filter is asked even after a refusal: a person who mends one thing wants to know of the next.
    verdicts = {pool.host: tuple(ask(request, pool, policy) for ask in filters) for pool in pools}
    passed = [pool for pool in pools if all(verdict.passed for verdict in verdicts[pool.host])]
    ranked = rank(request, passed, policy)
    winner, reason = _choose(request, pools, ranked, policy)
    return Decision(
        chosen=winner.host if winner else None,
        backend_id=winner.backend_id if winner else None,
        reason=reason,
        ranked=tuple(one.pool.host for one in ranked),
        pools=_written_down(pools, verdicts, ranked, winner),
        request=request,
    )


def _choose(
    request: PlacementRequest, pools: Sequence[PoolState], ranked: Sequence[Ranked], policy: Policy
) -> tuple[PoolState | None, str]:
    """The winner and a sentence that says why."""
    if request.attempt > policy.max_attempts:
        return None, f"this would be attempt {request.attempt}, at most {policy.max_attempts} are made"
    if not pools:
        return None, "no pool has reported yet"
    if not ranked:
        return None, f"none of {_count(len(pools), 'pool')} can take it"
    if request.lives_on is not None:
        return _choose_for_one_that_lives(request.lives_on, request.may_move, ranked)
    best = ranked[0].pool
    if len(ranked) == 1:
        return best, f"{best.host} is the only one of {_count(len(pools), 'pool')} that can take it"
    return best, f"{best.host} weighs most of the {len(ranked)} that can take it"


def _choose_for_one_that_lives(
    home: str, may_move: bool, ranked: Sequence[Ranked]
) -> tuple[PoolState | None, str]:
    """A retype stays where it is when it can: in its very pool, else on its backend, else it moves, if that is allowed."""
    candidates = [one.pool for one in ranked]
    for pool in candidates:
        if pool.host == home:
            return pool, "the pool it lives in can keep it"
    for pool in candidates:
        if pool.backend_host == home.partition("#")[0]:
            return pool, f"the backend it lives on can keep it, in {pool.host}"
    if may_move:
        return candidates[0], f"its own backend cannot keep it, {candidates[0].host} can take it"
    return None, "its own backend cannot keep it, and it must not move (migration policy 'never')"


def _written_down(
    pools: Sequence[PoolState],
    verdicts: dict[str, tuple[Verdict, ...]],
    ranked: Sequence[Ranked],
    winner: PoolState | None,
) -> tuple[PoolVerdict, ...]:
    weighed = {one.pool.host: one for one in ranked}
    written = []
    for pool in pools:
        rank_of = weighed.get(pool.host)
        written.append(
            PoolVerdict(
                pool=pool.host,
                backend_id=pool.backend_id,
                verdict="chosen" if pool is winner else "passed" if rank_of else "refused",
                filters=verdicts[pool.host],
                weight=rank_of.weight if rank_of else None,
                weights=rank_of.weights if rank_of else (),
            )
        )
    return tuple(written)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

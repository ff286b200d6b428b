# SPDX-License-Identifier: Apache-2.0
"""Can the pool do what the volume type asks? Every extra spec without a scope, or in the scope 'capabilities', is looked up in what the
pool reports, nested keys separated by ':'; a missing key refuses. Of a list, one element that matches is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.scheduler.specs import capability_keys, is_true, matches

NAME = "capabilities"
_MISSING = object()


def capabilities(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    if (
        request.new_size is not None
        and request.attached
        and not is_true(pool.capabilities.get("online_extend_support", True))
    ):
        detail = "it cannot extend a volume that is attached"
        return Verdict(NAME, False, detail, needed="online_extend_support", had="false")
    asked = list(capability_keys(iter(request.extra_specs)))
    if not asked:
        return Verdict(NAME, True, "the type asks for nothing special")
    facts = pool.facts()
    for key, path in asked:
        wanted, had = request.extra_specs[key], _walk(facts, path)
        if had is _MISSING:
            return Verdict(
                NAME, False, f"it does not report '{key}', the type wants '{wanted}'", wanted, "nothing"
            )
        if not _any_matches(had, wanted):
            return Verdict(NAME, False, f"the type wants {key} '{wanted}', it has '{had}'", wanted, str(had))
    return Verdict(NAME, True, f"it has what the type asks for: {', '.join(key for key, _ in asked)}")


def _walk(facts: Mapping[str, Any], path: Sequence[str]) -> Any:
    here: Any = facts
    for step in path:
        if not isinstance(here, Mapping) or step not in here:
            return _MISSING
        here = here[step]
    return here


def _any_matches(had: Any, wanted: str | None) -> bool:
    if isinstance(had, list | tuple | set | frozenset):
        return any(matches(one, wanted) for one in had)
    return matches(had, wanted)

# SPDX-License-Identifier: Apache-2.0
"""The backend's own condition: its filter_function, evaluated for this pool and this request. An error in it refuses the pool."""

from __future__ import annotations

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.expression import ExpressionError
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.scheduler.scope import evaluate_for

NAME = "driver"


def driver(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    function = pool.filter_function
    if function is None:
        return Verdict(NAME, True, "the backend has no filter_function")
    try:
        results = evaluate_for(function, request, pool)
    except ExpressionError as error:
        detail = f"its filter_function cannot be evaluated: {error}"
        return Verdict(NAME, False, detail, needed=function, had="an error")
    if any(results):
        return Verdict(
            NAME, True, f"its filter_function holds: {function}", needed=function, had=str(results[0])
        )
    return Verdict(NAME, False, f"its filter_function does not hold: {function}", function, str(results[0]))

# SPDX-License-Identifier: Apache-2.0
"""The hint `query`: a JSON list [operator, argument, ...] about the pool, nested lists evaluated first (contract, scheduler 5). Must never
evaluate anything else: nine operators, bounded depth, and a mistake refuses the pool with a sentence."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.decision import Verdict
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest

NAME, HINT = "json", "query"
MOST_DEPTH = 20
MOST_CHARACTERS = 8192


class BadQuery(ValueError):
    """Said to the user in the verdict."""


def json_query(request: PlacementRequest, pool: PoolState, policy: Policy) -> Verdict:
    query = request.hints.get(HINT)
    if not query:
        return Verdict(NAME, True, f"no hint {HINT}")
    shown = str(query)[:80]
    try:
        result = _evaluate(_parsed(query), pool, 0)
    except (BadQuery, TypeError) as error:
        return Verdict(NAME, False, f"the query cannot be evaluated: {error}", needed=shown, had="an error")
    passed = any(result) if isinstance(result, list) else bool(result)
    return Verdict(
        NAME, passed, "the query holds" if passed else "the query does not hold", shown, str(passed)
    )


def _parsed(query: Any) -> Any:
    if not isinstance(query, str):
        return query
    if len(query) > MOST_CHARACTERS:
        raise BadQuery(f"it is longer than {MOST_CHARACTERS} characters")
    try:
        return msgspec.json.decode(query)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadQuery(f"it is not JSON ({error})") from error


def _evaluate(query: Any, pool: PoolState, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise BadQuery(f"it is nested deeper than {MOST_DEPTH}")
    if not isinstance(query, list | tuple):
        raise BadQuery(f"{query!r} is not a list")
    if not query:
        return True
    name, *arguments = query
    apply = _OPERATORS.get(name) if isinstance(name, str) else None
    if apply is None:
        raise BadQuery(f"{name!r} is no operator ({' '.join(_OPERATORS)})")
    values = (_value(argument, pool, depth) for argument in arguments)
    return apply([value for value in values if value is not None])


def _value(argument: Any, pool: PoolState, depth: int) -> Any:
    if isinstance(argument, list | tuple):
        return _evaluate(argument, pool, depth + 1)
    if isinstance(argument, str):
        return _variable(argument, pool) if argument.startswith("$") else argument or None
    return argument


def _variable(name: str, pool: PoolState) -> Any:
    """`$free_capacity_gb`, `$capabilities.key.deeper`. None, and so dropped, when there is no such thing."""
    first, *rest = name[1:].split(".")
    here: Any = {**pool.facts(), "capabilities": pool.facts()}.get(first)
    for step in rest:
        here = here.get(step) if isinstance(here, Mapping) else None
    return here


def _first_against_rest(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any]], bool]:
    return lambda values: len(values) > 1 and all(compare(values[0], other) for other in values[1:])


_OPERATORS: dict[str, Callable[[list[Any]], Any]] = {
    "=": _first_against_rest(operator.eq),
    "<": _first_against_rest(operator.lt),
    ">": _first_against_rest(operator.gt),
    "in": lambda values: len(values) > 1 and values[0] in values[1:],
    "<=": _first_against_rest(operator.le),
    ">=": _first_against_rest(operator.ge),
    "not": lambda values: [not value for value in values],
    "or": any,
    "and": all,
}

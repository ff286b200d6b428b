# SPDX-License-Identifier: Apache-2.0
"""The declaration of an operation: one decorator on its handler says everything that routing, policy, validation and the OpenAPI document
need, so that adding an operation is adding one function. The handler's parameters are (call[, tx], *path values[, body]).

    READ, WRITE   a plain function that gets a transaction: the whole request is one hop into the store
    PLAIN         a plain function without a database
    ASYNC         a coroutine function that makes its own hops (it waits for an operation)

Must never hold what a request does: that is the handler's."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from breezeblock.api.body import Body
from breezeblock.api.microversion import MAX, MIN


class Hop(enum.Enum):
    READ = "read"
    WRITE = "write"
    PLAIN = "plain"
    ASYNC = "async"


READ, WRITE, PLAIN, ASYNC = Hop.READ, Hop.WRITE, Hop.PLAIN, Hop.ASYNC

Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parameter of the query string, for the OpenAPI document; the handler reads it."""

    name: str
    schema: Mapping[str, Any]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`id` is the contract's name of the operation; `action` the top-level key of a POST .../action body; `hides` a policy refusal is
    answered with 404, so that it says nothing about existence."""

    id: str
    method: str
    path: str
    handler: Handler
    hop: Hop
    status: int
    rules: tuple[str, ...] = ()
    #: the path value that names the project the rules are about; None: the caller's own.
    about: str | None = None
    hides: bool = False
    action: str | None = None
    body: Body | None = None
    query: tuple[Query, ...] = ()
    #: further statuses worth documenting.
    errors: tuple[int, ...] = ()
    min: int = MIN
    max: int = MAX

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))

    @property
    def values(self) -> tuple[str, ...]:
        """The names of the path's values, in order."""
        return tuple(segment[1:-1] for segment in self.segments if segment.startswith("{"))

    @property
    def returns(self) -> Any:
        """The type of the answer's body, as the handler is annotated."""
        return typing.get_type_hints(self.handler).get("return")

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or self.id).strip().partition("\n")[0]


def route(
    id: str,
    method_and_path: str,
    *,
    hop: Hop = READ,
    status: int = 200,
    policy: str | tuple[str, ...] = (),
    about: str | None = None,
    hides: bool = False,
    action: str | None = None,
    body: type | Body | None = None,
    query: tuple[Query, ...] = (),
    errors: tuple[int, ...] = (),
    min: int = MIN,
    max: int = MAX,
) -> Callable[[Handler], Route]:
    """`body` as a bare type is taken for the action's value."""
    method, _, path = method_and_path.partition(" ")
    if body is not None and not isinstance(body, Body):
        if action is None:
            raise TypeError(f"{id}: a body needs its key")
        body = Body(action, body)

    def declare(handler: Handler) -> Route:
        return Route(
            id=id,
            method=method,
            path=path,
            handler=handler,
            hop=hop,
            status=status,
            rules=(policy,) if isinstance(policy, str) else policy,
            about=about,
            hides=hides,
            action=action,
            body=body,
            query=query,
            errors=errors,
            min=min,
            max=max,
        )

    return declare


def declared_in(*modules: Any) -> tuple[Route, ...]:
    """Every route of some modules, in the order written."""
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Route))

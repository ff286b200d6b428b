# SPDX-License-Identifier: Apache-2.0
"""From a path to the declared operations: a tree of segments, so that the 210th route costs what the first costs. A path that fits no
route is 404, one that fits with other methods 405. Must never read a body: an action is chosen later by `Leaf.choose`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from breezeblock.api.fault import MethodNotAllowed
from breezeblock.api.microversion import text
from breezeblock.api.route import Route
from breezeblock.model.errors import BadRequest, NotFound

#: A path parameter of this name is free text and keeps a trailing '.json', as does a segment that is written with one.
FREE_TEXT = "{key}"


class Leaf:
    """The operations of one method on one path: alternatives by microversion, and by action."""

    __slots__ = ("actions", "plain")

    def __init__(self) -> None:
        self.plain: list[Route] = []
        self.actions: dict[str, list[Route]] = {}

    def add(self, route: Route) -> None:
        others = self.plain if route.action is None else self.actions.setdefault(route.action, [])
        for other in others:
            if other.min <= route.max and route.min <= other.max:
                raise ValueError(f"{route.id} and {other.id} answer the same request at some microversion")
        others.append(route)

    def choose(self, version: int, action: str | None = None) -> Route:
        routes = self.plain if action is None else self.actions.get(action)
        if routes is None:
            raise BadRequest(
                f"There is no such action: {action}", needed=f"one of {', '.join(sorted(self.actions))}"
            )
        for route in routes:
            if route.min <= version <= route.max:
                return route
        raise NotFound(
            f"This method is not available at microversion {text(version)}",
            remedy=f"Ask for at least {text(min((r.min for r in routes), default=0))}.",
        )


class _Node:
    __slots__ = ("below", "free_text", "methods", "parameter")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.methods: dict[str, Leaf] = {}
        self.free_text = False


class Router:
    def __init__(self, routes: Iterable[Route], project_id_regex: str) -> None:
        self.root = _Node()
        self._project = re.compile(project_id_regex)
        ids: set[str] = set()
        for route in routes:
            if route.id in ids:
                raise ValueError(f"two routes are called {route.id}")
            ids.add(route.id)
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self.root
        for segment in route.segments:
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
                node.free_text = segment == FREE_TEXT
            else:
                node = node.below.setdefault(segment, _Node())
                node.free_text = segment.endswith(".json")
        node.methods.setdefault(route.method, Leaf()).add(route)

    def find(self, method: str, segments: list[str]) -> tuple[str | None, Leaf, tuple[str, ...]]:
        """(project segment, leaf, path values). Raises NotFound or MethodNotAllowed."""
        if segments[-1].endswith(".json"):
            literal = self._look(method, segments)
            if literal is not None and literal[3]:
                return literal[:3]
            segments = [*segments[:-1], segments[-1][:-5]]
        found = self._look(method, segments)
        if found is not None:
            return found[:3]
        methods = {m for node, _ in self._nodes(self.root, self._split(segments)[1], 0) for m in node.methods}
        if methods:
            raise MethodNotAllowed(allow=", ".join(sorted(methods)))
        raise NotFound(
            "The resource could not be found",
            remedy="See GET /v3/breezeblock/openapi.json for the paths there are.",
        )

    def _split(self, segments: list[str]) -> tuple[str | None, list[str]]:
        if segments[0] not in self.root.below and self._project.fullmatch(segments[0]):
            return segments[0], segments[1:]
        return None, segments

    def _look(
        self, method: str, segments: list[str]
    ) -> tuple[str | None, Leaf, tuple[str, ...], bool] | None:
        project, rest = self._split(segments)
        # The straight way first: fixed segments win; nearly every request ends here.
        node: _Node | None = self.root
        values = []
        for segment in rest:
            assert node is not None
            below = node.below.get(segment)
            if below is None and segment:
                below = node.parameter
                values.append(segment)
            node = below
            if node is None:
                break
        else:
            leaf = node.methods.get(method) if node is not None else None
            if leaf is not None and node is not None:
                return project, leaf, tuple(values), node.free_text
        for node, found in self._nodes(self.root, rest, 0):
            leaf = node.methods.get(method)
            if leaf is not None:
                return project, leaf, found, node.free_text
        return None

    def _nodes(self, node: _Node, segments: list[str], at: int) -> Iterator[tuple[_Node, tuple[str, ...]]]:
        """Every node that the path fits, fixed segments first. An empty segment fits no parameter."""
        if at == len(segments):
            yield node, ()
            return
        segment = segments[at]
        below = node.below.get(segment)
        if below is not None:
            yield from self._nodes(below, segments, at + 1)
        if node.parameter is not None and segment:
            for found, values in self._nodes(node.parameter, segments, at + 1):
                yield found, (segment, *values)

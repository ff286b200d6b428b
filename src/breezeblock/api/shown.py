# SPDX-License-Identifier: Apache-2.0
"""What lists have sent before: encoded items, each with the row it was made of. The very same row, asked for by a caller who sees the same
of it, is sent again as it was; a row that the store has read anew is another object, however little has changed. So nothing here can
be out of date, and forgetting costs time only. Must never compare what rows hold."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

#: Items kept for each way of showing them, and ways. An item is about a kilobyte.
ITEMS, WAYS = 4096, 4

_encode = msgspec.json.Encoder().encode


class Identified(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=Identified)


class Shown:
    """Shared by all requests of a process, without a lock: each answer is put together from what its own request has found."""

    __slots__ = ("_ways",)

    def __init__(self) -> None:
        self._ways: dict[Hashable, dict[str, tuple[Any, msgspec.Raw]]] = {}

    def encoded(
        self, way: Hashable, rows: Sequence[R], make: Callable[[Sequence[R]], Iterable[Any]]
    ) -> list[msgspec.Raw]:
        """The items of immutable rows, in order. `way` is all that an item depends on besides its row; `make` makes those of new rows."""
        known = self._of(way)
        out: list[Any] = []
        new: list[int] = []
        for at, row in enumerate(rows):
            entry = known.get(row.id)
            if entry is not None and entry[0] is row:
                out.append(entry[1])
            else:
                new.append(at)
                out.append(None)
        if new:
            for at, item in zip(new, make([rows[at] for at in new]), strict=True):
                out[at] = msgspec.Raw(_encode(item))
                known[rows[at].id] = rows[at], out[at]
        return out

    def _of(self, way: Hashable) -> dict[str, tuple[Any, msgspec.Raw]]:
        found = self._ways.get(way)
        if found is None or len(found) > ITEMS:
            if len(self._ways) >= WAYS:
                self._ways = {}
            found = self._ways[way] = {}
        return found

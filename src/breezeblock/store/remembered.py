# SPDX-License-Identifier: Apache-2.0
"""Rows that a list has read before and need not read again. A list first asks for the heads of its page: id, version, time of change. A row
whose head is the remembered one is the remembered one, because every write raises the version; the others are read. What a row shows of
other tables (the name of its type, its backend's host) changes without it: each such change raises the counter "names", which the heads
carry, and a new number empties the memory. So a remembered row is never older than the transaction that asks.

Readers share one Remembered per database. Must never be asked inside a transaction that writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

#: The counter that counts changes of what rows show of other tables.
NAMES = "names"
#: Rows kept at least; twice as many at most. A row is about a kilobyte.
KEPT = 4096


class Versioned(Protocol):
    """A row that can be remembered."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def updated_at(self) -> str | None: ...


T = TypeVar("T", bound=Versioned)

#: id, version, time of change, and the number of the names.
Head = tuple[str, int, str | None, int]

#: (version, time of change, row) by id.
_Generation = dict[str, tuple[int, str | None, T]]


class Remembered(Generic[T]):
    """Two generations: what was not asked for while the younger filled goes with the older. No lock: what they are is replaced in one
    step, and a race between two readers forgets, but never mistakes."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        #: the number of the names, and the generations made under it.
        self._kept: tuple[int, _Generation[T], _Generation[T]] = (-1, {}, {})

    def rows(
        self, heads: Sequence[Head], read: Callable[[Sequence[str]], Iterable[tuple[T, int]]]
    ) -> list[T]:
        """The rows of these heads, in their order. `read` gets the ids of those that are not known and gives the rows, each with the
        number of the names (newer rows, if they changed meanwhile; none, if they went; others may be among them)."""
        if not heads:
            return []
        names = heads[0][3]
        young, old = self._generations(names)
        found: list[T | None] = []
        missing: dict[str, int] = {}
        for at, (id, version, updated_at, _) in enumerate(heads):
            known = young.get(id)
            if known is None and (known := old.get(id)) is not None:
                young[id] = known
            if known is not None and known[0] == version and known[1] == updated_at:
                found.append(known[2])
            else:
                missing[id] = at
                found.append(None)
        if missing:
            for row, now in read(list(missing)):
                id = row.id
                if id in missing:
                    found[missing[id]] = row
                if now == names:
                    young[id] = (row.version, row.updated_at, row)
        return [row for row in found if row is not None]

    def _generations(self, names: int) -> tuple[_Generation[T], _Generation[T]]:
        known, young, old = self._kept
        if names != known:
            young, old = {}, {}
        elif len(young) >= KEPT:
            young, old = {}, young
        else:
            return young, old
        self._kept = (names, young, old)
        return young, old

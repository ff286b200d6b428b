# SPDX-License-Identifier: Apache-2.0
"""Which ranges of a volume hold data. Absent means unallocated, or unchanged when the question named a `since`."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec


class ExtentKind(enum.StrEnum):
    DATA = "data"
    ZERO = "zero"


class Extent(msgspec.Struct, frozen=True, order=True):
    """`offset` and `length` in bytes; length > 0."""

    offset: int
    length: int
    kind: ExtentKind = ExtentKind.DATA

    @property
    def end(self) -> int:
        return self.offset + self.length


class Extents(msgspec.Struct, frozen=True):
    """Sorted, disjoint extents of a volume of `size` bytes. `exact` False: a superset of what changed or is allocated."""

    size: int
    extents: Sequence[Extent]
    exact: bool = True

    def data_bytes(self) -> int:
        return sum(e.length for e in self.extents if e.kind is ExtentKind.DATA)


def merged(extents: Iterable[Extent]) -> list[Extent]:
    """Sorted, with neighbours of one kind joined. Overlaps are refused: they mean a wrong map."""
    out: list[Extent] = []
    for extent in sorted(extents):
        if out and extent.offset < out[-1].end:
            raise ValueError(f"overlapping extents {out[-1]} and {extent}")
        if out and extent.offset == out[-1].end and extent.kind is out[-1].kind:
            out[-1] = Extent(out[-1].offset, out[-1].length + extent.length, extent.kind)
        else:
            out.append(extent)
    return out

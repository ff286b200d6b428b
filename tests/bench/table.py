# SPDX-License-Identifier: Apache-2.0
"""What was measured, as rows, and the table of them: aligned for a terminal, or Markdown for docs/BENCHMARKS.md. Must never measure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

COLUMNS = ("job", "measured", "floor", "x floor", "peer", "peer / ours", "target", "met")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`target` is a bound on `measured` (same unit), or on the ratio to the floor when `of_floor`."""

    job: str
    unit: str
    measured: float
    floor: float | None = None
    peer: float | None = None
    target: float | None = None
    of_floor: bool = False
    #: more is better (requests per second).
    rises: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        value = self.measured / self.floor if self.of_floor and self.floor else self.measured
        return value >= self.target if self.rises else value <= self.target

    def cells(self) -> list[str]:
        ratio = None if self.floor is None else self.measured / self.floor
        gain = (
            None
            if self.peer is None
            else (self.measured / self.peer if self.rises else self.peer / self.measured)
        )
        target = ""
        if self.target is not None:
            sign = ">=" if self.rises else "<="
            target = f"{sign} {number(self.target)} {'x floor' if self.of_floor else self.unit}"
        return [
            self.job + (f" ({self.note})" if self.note else ""),
            f"{number(self.measured)} {self.unit}",
            "" if self.floor is None else f"{number(self.floor)} {self.unit}",
            "" if ratio is None else f"{ratio:.2f}",
            "" if self.peer is None else f"{number(self.peer)} {self.unit}",
            "" if gain is None else f"{gain:.3g}",
            target,
            "" if self.met is None else ("yes" if self.met else "NO"),
        ]


def number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def render(title: str, rows: Sequence[Row], *, markdown: bool) -> str:
    body = [row.cells() for row in rows]
    if markdown:
        lines = [f"### {title}", "", "| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * 6 + "|---|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in body]
        return "\n".join([*lines, ""])
    widths = [max(len(cells[i]) for cells in [list(COLUMNS), *body]) for i in range(len(COLUMNS))]
    lines = [
        title,
        "  ".join(name.ljust(width) for name, width in zip(COLUMNS, widths, strict=True)).rstrip(),
    ]
    for cells in body:
        aligned = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join([*lines, ""])

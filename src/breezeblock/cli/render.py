# SPDX-License-Identifier: Apache-2.0
"""Text for people: tables, records, sizes, ages. Ids and names are never shortened, since people copy them. Pure: values in, lines out."""

from __future__ import annotations

import datetime
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOTHING = "-"


def width(text: str) -> int:
    """Columns on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def pad(text: str, columns: int, *, right: bool = False) -> str:
    gap = " " * max(0, columns - width(text))
    return gap + text if right else text + gap


def clean(text: str) -> str:
    """Names come from other people: no control character of theirs reaches the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def cell(value: Any) -> str:
    """One value in a table or record."""
    if value is None or value == "" or value == [] or value == {}:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(str(k))}={clean(str(v))}" for k, v in sorted(value.items()))
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return clean(str(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()) -> str:
    """A header and aligned rows; `numbers` names the columns that align to the right. Empty: the header alone."""
    lines = [list(columns), *([cell(value) for value in row] for row in rows)]
    widths = [max(width(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(pad(text, widths[i], right=columns[i] in numbers) for i, text in enumerate(line)).rstrip()
        for line in lines
    )


def record(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one a line."""
    lines = [(name, cell(value)) for name, value in pairs]
    columns = max((width(name) for name, _ in lines), default=0)
    return "\n".join(f"{pad(name, columns)}  {value}" for name, value in lines)


def size(value: float | None) -> str:
    """Bytes for people: 1.5 GiB."""
    if value is None:
        return NOTHING
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if amount == int(amount) else f"{amount:.1f} {unit}"


def seconds(value: float | None) -> str:
    """A duration for people: 0.04 s, 12 s, 3 min 5 s, 2 h 3 min."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.2f} s"
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def moment(text: str | float | None) -> datetime.datetime | None:
    """A timestamp of the API (UTC, with or without a zone; or seconds since the epoch)."""
    if text is None or text == "":
        return None
    if isinstance(text, int | float):
        return datetime.datetime.fromtimestamp(text, datetime.UTC)
    found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def clock(text: str | float | None) -> str:
    """A timestamp in this machine's zone, to the second."""
    found = moment(text)
    return NOTHING if found is None else found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def drawn() -> bool:
    """May lines and blocks be drawn? Not where stdout cannot encode them."""
    try:
        "─█✓".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

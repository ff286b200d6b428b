# SPDX-License-Identifier: Apache-2.0
"""Items of lists that were sent before: the same row is sent as it was, any other object anew, and nobody gets what another may see."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from breezeblock.api import shown
from breezeblock.api.shown import Shown


class Row(msgspec.Struct, frozen=True):
    id: str
    text: str


class Maker:
    """Makes items and remembers of which rows."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix, self.made = prefix, []

    made: list[str]

    def __call__(self, rows: Sequence[Row]) -> list[str]:
        self.made += [row.id for row in rows]
        return [self.prefix + row.text for row in rows]


def _decoded(raws: list[msgspec.Raw]) -> list[str]:
    return [msgspec.json.decode(raw) for raw in raws]


def test_the_same_row_is_made_once() -> None:
    memory, make = Shown(), Maker()
    rows = [Row("a", "1"), Row("b", "2")]
    assert _decoded(memory.encoded("way", rows, make)) == ["1", "2"]
    assert _decoded(memory.encoded("way", rows[::-1], make)) == ["2", "1"]
    assert make.made == ["a", "b"]


def test_another_object_is_made_anew_even_when_it_is_equal() -> None:
    memory, make = Shown(), Maker()
    memory.encoded("way", [Row("a", "1")], make)
    assert _decoded(memory.encoded("way", [Row("a", "2")], make)) == ["2"]
    memory.encoded("way", [Row("a", "2")], make)
    assert make.made == ["a", "a", "a"]


def test_each_way_of_showing_has_its_own_items() -> None:
    memory, row = Shown(), Row("a", "secret")
    assert _decoded(memory.encoded("admin", [row], Maker("host "))) == ["host secret"]
    assert _decoded(memory.encoded("member", [row], Maker())) == ["secret"]


def test_the_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "ITEMS", 10)
    memory, make = Shown(), Maker()
    for n in range(200):
        row = Row(f"id{n}", str(n))
        assert _decoded(memory.encoded(n // 20, [row], make)) == [str(n)]
    assert len(memory._ways) <= shown.WAYS
    assert all(len(items) <= 11 for items in memory._ways.values())

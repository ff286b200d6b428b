# SPDX-License-Identifier: Apache-2.0
"""The expression language: what it computes, what it refuses, and that no text can hurt."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from breezeblock.scheduler.expression import MOST_CHARACTERS, ExpressionError, evaluate

SCOPE: dict[str, dict[str, Any]] = {
    "stats": {
        "free": 12.5,
        "name": "node@a",
        "text_number": "42",
        "nothing": None,
        "yes": True,
        "nested": {"a": 1},
    },
    "volume": {"size": 10},
    "extra": {},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("1.5", 1.5), ("'text'", "text"), ('"text"', "text"), ("'7' + 1", 8), ("stats.text_number + 1", 43),
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("7 / 2", 3.5), ("7 - 2 - 1", 4), ("8 / 2 / 2", 2),
        ("2 ^ 3 ^ 2", 512), ("-2 ^ 2", -4), ("- -2", 2), ("+3", 3), ("2 * -3", -6),
        ("1 < 2", True), ("2 < 2", False), ("2 <= 2", True), ("2 > 1", True), ("2 >= 3", False), ("1 == 1.0", True),
        ("1 != 2", True), ("1 <> 1", False), ("1 < 2 < 3", True), ("1 < 3 < 2", False), ("1 + 1 == 2", True),
        ("'a' == 'a'", True), ("'a' == 1", False), ("'a' < 'b'", True),
        ("not 1", False), ("! 0", True), ("NOT 0", True), ("not 0 == 2", False), ("!!1", True),
        ("1 < 2 ? 10 : 20", 10), ("1 > 2 ? 10 : 20", 20), ("1 > 2 ? 10 : 2 > 1 ? 5 : 6", 5),
        ("1 and 0", 0), ("1 && 1", 1), ("0 AND 1", 0), ("0 or 1", 1), ("0 || 0", 0), ("1 OR 0", 1),
        ("0 and 0 or 1", 1), ("1 or 1 and 0", 1), ("1 == 1 and 2 == 2 ? 5 : 6", 5),
        ("abs(-3)", 3), ("max(1, 5, 3)", 5), ("min(4, 2 + 1)", 3), ("max(1, min(9, 4)) * 2", 8),
        ("stats.free - volume.size", 2.5), ("stats.name == 'node@a'", True), ("stats.yes", True),
        ("stats.free > 2 and volume.size < 20", True), ("stats.nothing", None), ("stats.nothing == 1", False),
        ("0 and stats.unknown", 0), ("  1  ", 1),
    ],
)  # fmt: skip
def test_value(text: str, value: Any) -> None:
    assert evaluate(text, SCOPE) == value


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1 +", "+ ", "(1", "1)", "1 2", "a", "stats", "stats.", ".free", "stats.unknown", "nowhere.x",
        "1 / 0", "0 ^ -1", "9 ^ 9 ^ 9", "(-8) ^ 0.5", "'a' + 1", "-'a'", "'a' < 1", "stats.nothing + 1", "1 ? 2", "1 : 2",
        "max()", "abs(1, 2)", "max(1,)", "'open", "1 = 1", "x; y", "__import__('os')", "stats.name.upper()", "1, 2",
        "lambda: 1", "1 if 1 else 2", "stats['free']", "{}", "@", "max 1", "'max'(1)", "1 'and' 1",
    ],
)  # fmt: skip
def test_a_mistake_is_told(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, SCOPE)
    assert str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2000 + "1" + ")" * 2000,
        "!" * 900 + "1",
        "-" * 900 + "1",
        "2^" * 400 + "2",
        "1?" * 100 + "1" + ":1" * 100,
        "max(" * 200 + "1" + ")" * 200,
        "1+" * 1500 + "1",
        "1" + " " * MOST_CHARACTERS,
        "9" * 5000,
        "999999999999999999*" * 200 + "1",
        "1.5" + "*99999999999999999999" * 190,
    ],
)
def test_no_text_costs_much(text: str) -> None:
    start = time.thread_time()
    with contextlib.suppress(ExpressionError):
        evaluate(text, SCOPE)
    assert time.thread_time() - start < 0.5


@given(st.text(alphabet="0123456789.+-*/^()<>=!?:,&| abmxnotrsfe'\"", max_size=60))
@example("((((")
def test_any_text_gives_a_value_or_an_expression_error(text: str) -> None:
    try:
        value = evaluate(text, SCOPE)
    except ExpressionError:
        return
    assert value is None or isinstance(value, int | float | str)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 50))
def test_arithmetic_is_pythons(a: int, b: int, c: int) -> None:
    assert evaluate(f"({a}) + ({b}) * ({a}) / {c} - ({b})", {}) == a + b * a / c - b

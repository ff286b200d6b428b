# SPDX-License-Identifier: Apache-2.0
"""Every operator of extra specs, met and not met."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeblock.scheduler.specs import matches


@pytest.mark.parametrize(
    ("capability", "wanted", "met"),
    [
        ("x", "x", True), ("x", "y", False), ("two words", "two words", True), ("", "", True), (5, "5", True),
        (True, "True", True), (True, "true", True), (False, "True", False), (True, "x", False),
        (10, "= 9", True), (10, "= 10", True), (10, "= 11", False), ("10", "= 9", True),
        (10, "== 10.0", True), (10, "== 9", False), (10, "!= 9", True), (10, "!= 10", False),
        (10, ">= 10", True), (9, ">= 10", False), (10, "<= 10", True), (11, "<= 10", False),
        ("fast", "= 9", False), (10, ">= many", False), ("fast", "!= 3", False), (10**400, ">= 1", False),
        ("b", "s== b", True), ("b", "s== c", False), ("b", "s!= c", True), ("b", "s!= b", False),
        ("b", "s< c", True), ("b", "s< b", False), ("b", "s<= b", True), ("c", "s<= b", False),
        ("b", "s> a", True), ("b", "s> b", False), ("b", "s>= b", True), ("a", "s>= b", False),
        ("b", "s== b ignored", True),
        ("abcdef", "<in> cde", True), ("abcdef", "<in> xyz", False), (["cde", "x"], "<in> cde", True),
        (["abcdef"], "<in> cde", False),
        (True, "<is> True", True), (True, "<is> yes", True), (True, "<is> False", False), ("on", "<is> 1", True),
        (False, "<is> False", True), ("nonsense", "<is> False", True),
        ("a", "<or> a <or> b", True), ("b", "<or> a <or> b", True), ("c", "<or> a <or> b", False),
        (12, "<or> 11 <or> 12", True), ("<or>", "<or> a <or> b", False), ("a", "<or>", False), ("a", "<or> a", True),
        (10, "=", False), ("x", "<in>", False),
        (None, None, True), ("x", None, False), (None, "x", False), (None, "<is> False", False),
        (None, "s!= x", False), (None, "<or> a", False),
    ],
)  # fmt: skip
def test_operator(capability: Any, wanted: str | None, met: bool) -> None:
    assert matches(capability, wanted) is met


@given(
    st.one_of(st.none(), st.text(), st.booleans(), st.integers(), st.floats(), st.lists(st.text())),
    st.one_of(st.none(), st.text(), st.sampled_from(["= 1", "<in> a", "<is> x", "<or> a <or>", ">= nan"])),
)
def test_no_pair_of_values_raises(capability: Any, wanted: str | None) -> None:
    assert matches(capability, wanted) in (True, False)

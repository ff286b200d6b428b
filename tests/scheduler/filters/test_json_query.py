# SPDX-License-Identifier: Apache-2.0
"""The query hint: its operators, its variables, its mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from breezeblock.scheduler.filters.json_query import json_query
from breezeblock.scheduler.policy import Policy
from tests.scheduler.place import pool, request

DEEP: list[Any] = ["and", True]
for _ in range(100):
    DEEP = ["and", DEEP]


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        (None, True),
        ([], True),
        (["=", "$free_capacity_gb", 100], True),
        ([">=", "$free_capacity_gb", 101], False),
        (["<", "$free_capacity_gb", 101, 200], True),
        (["<", "$free_capacity_gb", 101, 50], False),
        (["in", "$volume_backend_name", "x", "a"], True),
        (["in", "$volume_backend_name", "x", "y"], False),
        (["and", [">=", "$total_capacity_gb", 100], ["not", ["=", "$volume_backend_name", "b"]]], True),
        (["or", ["=", 1, 2], ["=", 2, 2]], True),
        (["or", ["=", 1, 2], ["=", 2, 3]], False),
        (["not", False, True], True),
        (["not", True, True], False),
        (["=", "$capabilities.disk.kind", "ssd"], True),
        (["=", "$disk.kind", "ssd"], True),
        (["=", "$capabilities.disk.missing", "ssd"], False),
        (["=", "$missing", 5], False),
        (["=", 5], False),
        (["<=", "text", 5], False),
        (["nonsense", 1], False),
        ([["="], 1], False),
        ({"a": 1}, False),
        (17, False),
        (DEEP, False),
    ],
)
def test_query(query: Any, passes: bool) -> None:
    there = pool(capabilities={"disk": {"kind": "ssd"}})
    for form in (query, None if query is None else json.dumps(query)):
        verdict = json_query(request(hints={"query": form}), there, Policy())
        assert verdict.passed is passes, verdict


@pytest.mark.parametrize("text", ["[", "not json", "[" * 5000, '["and",' * 900, " " * 9000 + "[]"])
def test_what_is_no_query_refuses_with_a_sentence(text: str) -> None:
    verdict = json_query(request(hints={"query": text}), pool(), Policy())
    assert not verdict.passed
    assert verdict.detail.startswith("the query cannot be evaluated: ")

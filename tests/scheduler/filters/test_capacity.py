# SPDX-License-Identifier: Apache-2.0
"""The capacity filter's questions in the contract's order, each with numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.scheduler.filters.capacity import capacity
from breezeblock.scheduler.policy import Policy
from tests.scheduler.place import pool, request

THICK = {"provisioning:type": "thick"}
UPSTREAM = Policy(max_over_subscription_ratio="20.0")

# what, the pool, the request, passes?, had
CASES: list[tuple[str, dict[str, Any], dict[str, Any], bool, Any]] = [
    ("thin: exactly what is left", {"allocated": 60}, {"size": 40}, True, 40),
    ("thin: a GiB too much", {"allocated": 61}, {"size": 40}, False, 39),
    ("thin: provisioned counts, not allocated", {"allocated": 0, "provisioned": 61}, {"size": 40}, False, 39),
    ("thin: free space does not count", {"free": 1}, {"size": 40}, True, 100),
    ("thin: the ratio multiplies", {"max_over_subscription_ratio": 2.0}, {"size": 200}, True, 200),
    ("thin: the ratio as text", {"max_over_subscription_ratio": "2.0"}, {"size": 201}, False, 200),
    ("thin: a ratio below 1 refuses", {"max_over_subscription_ratio": 0.9}, {"size": 1}, False, 90),
    ("thin: the reserve comes off first", {"reserved_percentage": 25}, {"size": 76}, False, 75),
    ("thin: the reserve is floored", {"total": 10, "reserved_percentage": 15}, {"size": 9}, True, 9),
    ("thin: everything is reserved", {"reserved_percentage": 100}, {"size": 1}, False, 0),
    ("thin: promises count", {"reserved_bytes": 61}, {"size": 40}, False, 39),
    ("auto: an empty pool has 20", {"max_over_subscription_ratio": "auto"}, {"size": 2000}, True, 2000),
    # 1 + 50 / (100 - 51 + 1) = 2
    (
        "auto: grows with what is provisioned",
        {"max_over_subscription_ratio": "auto", "provisioned": 50, "free": 51},
        {"size": 150},
        True,
        150,
    ),
    (
        "auto: and not further",
        {"max_over_subscription_ratio": "auto", "provisioned": 50, "free": 51},
        {"size": 151},
        False,
        150,
    ),
    ("thick type: free space counts", {"free": 30}, {"size": 31, "extra_specs": THICK}, False, 30),
    ("thick type: so does the total", {"provisioned": 80}, {"size": 21, "extra_specs": THICK}, False, 20),
    (
        "thick type: the ratio does not",
        {"max_over_subscription_ratio": 9.0},
        {"size": 101, "extra_specs": THICK},
        False,
        100,
    ),
    (
        "thick pool: the ratio does not",
        {"thin": False, "max_over_subscription_ratio": 9.0},
        {"size": 101},
        False,
        100,
    ),
    ("thick pool: promises are not free", {"thin": False, "reserved_bytes": 70}, {"size": 31}, False, 30),
    ("extend: only the difference", {"allocated": 95}, {"size": 90, "new_size": 95}, True, 5),
    ("extend: the difference is too much", {"allocated": 95}, {"size": 90, "new_size": 96}, False, 5),
    ("nothing more is asked", {"free": None, "total": 0}, {"size": 9, "new_size": 9}, True, None),
    ("size 0", {"total": 0}, {"size": 0}, True, None),
    ("free is not told", {"free": None}, {"size": 1}, False, "unknown"),
    ("free is infinite", {"free": "infinite"}, {"size": 10_000}, True, "infinite"),
    ("free is unknown", {"free": "unknown", "reserved_percentage": 50}, {"size": 10_000}, True, "unknown"),
    ("total is infinite", {"total": "infinite", "free": 1}, {"size": 10_000}, True, "infinite"),
    (
        "total is unknown, with a reserve",
        {"total": "unknown", "reserved_percentage": 1},
        {"size": 1},
        False,
        "unknown",
    ),
    ("no space at all", {"total": 0, "free": 0}, {"size": 1}, False, 0),
    ("it lives here", {"total": 1}, {"size": 500, "lives_on": "node@a#a"}, True, None),
    ("it lives elsewhere", {"total": 1}, {"size": 500, "lives_on": "node@b#b"}, False, 1),
]


@pytest.mark.parametrize(("what", "there", "wanted", "passes", "had"), CASES, ids=[case[0] for case in CASES])
def test_room(what: str, there: dict[str, Any], wanted: dict[str, Any], passes: bool, had: Any) -> None:
    verdict = capacity(request(**wanted), pool(**there), Policy())
    assert (verdict.passed, verdict.had) == (passes, had)


def test_a_pool_without_a_ratio_takes_the_policys() -> None:
    assert capacity(request(2000), pool(), UPSTREAM).passed
    assert not capacity(request(2001), pool(), UPSTREAM).passed
    assert not capacity(request(101), pool(max_over_subscription_ratio=1.0), UPSTREAM).passed


def test_a_refusal_tells_the_numbers_that_decided() -> None:
    verdict = capacity(request(40), pool(allocated=85, reserved_bytes=3), Policy())
    assert verdict.detail == "needed 40 GiB, there was 12 GiB (thin, ratio 1.0, 3 GiB promised to others)"
    assert (verdict.needed, verdict.had, verdict.unit) == (40, 12, "GiB")


def test_what_is_missing_is_never_shown_as_less_than_nothing() -> None:
    verdict = capacity(request(40), pool(provisioned=150, thin=False, free=0), Policy())
    assert verdict.detail == "needed 40 GiB, there was 0 GiB (thick)"

# SPDX-License-Identifier: Apache-2.0
"""Weighers, how their numbers are combined, and ties."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.rank import rank
from breezeblock.scheduler.weighers.capacity import capacity
from breezeblock.scheduler.weighers.goodness import goodness
from tests.scheduler.place import pool, request


def order(policy: Policy, *there: PoolState, **fields: Any) -> str:
    return "".join(one.pool.backend_name for one in rank(request(**fields), there, policy))


def test_weights_are_scaled_multiplied_and_summed() -> None:
    policy = Policy(weighers=("capacity", "volume_number"), multipliers={"capacity": 2.0})
    there = [
        pool("a", allocated=0, volumes=10),
        pool("b", allocated=50, volumes=0),
        pool("c", allocated=75, volumes=5),
    ]
    ranked = {one.pool.backend_name: one for one in rank(request(), there, policy)}
    # capacity: 100, 50, 25 -> 1, 1/3, 0, times 2; volumes: 10, 0, 5 -> 1, 0, 0.5, times -1
    assert ranked["a"].weight == pytest.approx(1.0)
    assert ranked["b"].weight == pytest.approx(2 / 3)
    assert ranked["c"].weight == pytest.approx(-0.5)
    assert [(w.name, w.raw, w.multiplier) for w in ranked["a"].weights] == [
        ("capacity", 100, 2.0),
        ("volume_number", 10, -1.0),
    ]


def test_equal_numbers_weigh_nothing() -> None:
    assert [one.weight for one in rank(request(), [pool("a"), pool("b")], Policy())] == [0, 0]


def test_a_negative_multiplier_packs() -> None:
    there = (pool("a", allocated=50), pool("b"))
    assert order(Policy(), *there) == "ba"
    assert order(Policy(multipliers={"capacity": -1.0}), *there) == "ab"


def test_allocated_capacity_prefers_the_least_allocated_whatever_the_size() -> None:
    there = (
        pool("a", total=1000, allocated=20),
        pool("b", allocated=10),
        pool("c", allocated=9, reserved_bytes=5),
    )
    assert order(Policy(weighers=("allocated_capacity",)), *there) == "bca"


def test_volume_number_prefers_the_fewest() -> None:
    there = (pool("a", volumes=3), pool("b", volumes=1), pool("c", volumes=2))
    assert order(Policy(weighers=("volume_number",)), *there) == "bca"


@pytest.mark.parametrize(
    ("multiplier", "numbers"),
    [
        (1.0, [100, 40, -1, -1]),
        # the greatest, and a hundred times the spread
        (-1.0, [100, 40, 100 + 60 * 100, 100 + 60 * 100]),
    ],
)
def test_a_pool_that_cannot_tell_its_room_is_the_last_choice(multiplier: float, numbers: list[float]) -> None:
    there = [pool("a"), pool("b", provisioned=60), pool("c", total="infinite"), pool("d", free="unknown")]
    assert capacity(request(), there, Policy(), multiplier) == numbers


def test_a_pool_that_cannot_tell_is_put_ten_thousand_beyond_equal_ones() -> None:
    assert capacity(request(), [pool("a"), pool("b", free="unknown")], Policy(), -1.0) == [100, 10_100]


def test_pools_that_all_cannot_tell_are_equal() -> None:
    there = [pool("a", total="infinite"), pool("b", free="unknown")]
    assert [one.weight for one in rank(request(), there, Policy(multipliers={"capacity": -1.0}))] == [0, 0]


@pytest.mark.parametrize(
    ("function", "rated"),
    [
        (None, 0), ("50", 50), ("100", 100), ("101", 0), ("-1", 0), ("1 == 1", 100), ("1 == 2", 0), ("'text'", 0),
        ("stats.nothing", 0), ("1 / 0", 0), ("volume.size * 2.5", 25),
        ("stats.storage_protocol == 'iscsi' ? 80 : 20", 80),
    ],
)  # fmt: skip
def test_goodness(function: str | None, rated: float) -> None:
    there = pool(goodness_function=function, capabilities={"storage_protocol": "iSCSI"})
    assert goodness(request(), [there], Policy(), 1.0) == [rated]


def test_the_better_backend_wins() -> None:
    there = (pool("a", goodness_function="10"), pool("b", goodness_function="90"), pool("c"))
    assert order(Policy(weighers=("goodness",)), *there) == "bac"


@pytest.mark.parametrize("policy", [Policy(weighers=("chance",)), Policy(weighers=()), Policy()])
def test_equal_pools_share_the_requests_and_the_same_request_draws_the_same(policy: Policy) -> None:
    there = [pool("a"), pool("b"), pool("c")]
    firsts = Counter(order(policy, *there, volume_id=f"v{n}")[0] for n in range(300))
    assert set(firsts) == {"a", "b", "c"}
    assert min(firsts.values()) > 60
    assert order(policy, *there) == order(policy, *reversed(there))


def test_the_lottery_gives_a_pool_as_many_wins_as_it_weighs() -> None:
    policy = Policy(weight_handler="stochastic")
    there = [pool("a", total=80), pool("b", total=20), pool("c", total=0, free=0, provisioned=5)]
    wins = Counter(order(policy, *there, volume_id=f"v{n}")[0] for n in range(500))
    assert 350 < wins["a"] < 450
    assert 50 < wins["b"] < 150
    assert wins["c"] == 0


def test_the_lotterys_list_is_turned_not_shuffled() -> None:
    orders = {
        order(Policy(weight_handler="stochastic"), pool("a"), pool("b"), pool("c"), volume_id=f"v{n}")
        for n in range(50)
    }
    assert orders == {"abc", "bca", "cab"}


def test_a_lottery_without_tickets_still_has_a_winner() -> None:
    policy = Policy(weighers=(), weight_handler="stochastic")
    assert sorted(order(policy, pool("a"), pool("b"))) == ["a", "b"]

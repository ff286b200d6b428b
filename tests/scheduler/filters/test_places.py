# SPDX-License-Identifier: Apache-2.0
"""The filters that look at where a pool is: zones, neighbours, tried places, the instance's machine."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.scheduler.filters.availability_zone import availability_zone
from breezeblock.scheduler.filters.different_backend import different_backend
from breezeblock.scheduler.filters.instance_locality import instance_locality
from breezeblock.scheduler.filters.retry import retry
from breezeblock.scheduler.filters.same_backend import same_backend
from breezeblock.scheduler.policy import Policy
from tests.scheduler.place import pool, request

HERE, THERE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
STRANGER = "33333333-3333-4333-8333-333333333333"
LOCATED = {HERE: "node@a#a", THERE: "node@b#b"}


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({}, True),
        ({"availability_zone": "cellar"}, True),
        ({"availability_zone": "attic"}, False),
        ({"availability_zones": ("attic", "cellar")}, True),
        ({"availability_zones": ("attic",)}, False),
        ({"availability_zones": ("attic",), "availability_zone": "cellar"}, False),
        ({"extra_specs": {"RESKEY:availability_zones": "attic, cellar"}}, True),
        ({"extra_specs": {"RESKEY:availability_zones": "attic"}}, False),
        ({"extra_specs": {"RESKEY:availability_zones": "attic"}, "availability_zone": "cellar"}, True),
    ],
)
def test_zones(wanted: dict[str, Any], passes: bool) -> None:
    assert availability_zone(request(**wanted), pool(availability_zone="cellar"), Policy()).passed is passes


@pytest.mark.parametrize(
    ("hint", "apart", "together"),
    [
        (None, True, True),
        ([], True, True),
        (HERE, False, True),
        (THERE, True, False),
        ([THERE, HERE], False, True),
        ([THERE, STRANGER], True, False),
        (STRANGER, True, False),
        ("no-id", False, False),
        ([HERE, "no-id"], False, False),
    ],
)
def test_neighbours(hint: Any, apart: bool, together: bool) -> None:
    hints = {"different_host": hint, "same_host": hint}
    wanted = request(hints=hints, located=LOCATED)
    assert different_backend(wanted, pool("a"), Policy()).passed is apart
    assert same_backend(wanted, pool("a"), Policy()).passed is together


def test_another_pool_of_the_same_backend_is_no_neighbour() -> None:
    wanted = request(hints={"different_host": HERE, "same_host": HERE}, located={HERE: "node@a#other"})
    assert different_backend(wanted, pool("a"), Policy()).passed
    assert not same_backend(wanted, pool("a"), Policy()).passed


@pytest.mark.parametrize(
    ("excluded", "passes"),
    [
        ((), True),
        (("node@b#b",), True),
        (("node@a#a",), False),
        (("node@a",), False),
        (("id-b", "id-a"), False),
    ],
)
def test_a_place_that_failed_is_not_tried_again(excluded: tuple[str, ...], passes: bool) -> None:
    assert retry(request(excluded=excluded), pool("a"), Policy()).passed is passes


@pytest.mark.parametrize(
    ("hints", "machine", "passes"),
    [
        ({}, None, True),
        ({"local_to_instance": STRANGER}, "node", True),
        ({"local_to_instance": STRANGER}, "other", False),
        ({"local_to_instance": STRANGER}, None, False),
    ],
)
def test_a_volume_goes_to_its_instances_machine(
    hints: dict[str, str], machine: str | None, passes: bool
) -> None:
    wanted = request(hints=hints, instance_host=machine)
    assert instance_locality(wanted, pool("a"), Policy()).passed is passes

# SPDX-License-Identifier: Apache-2.0
"""The backend's own condition."""

from __future__ import annotations

import pytest

from breezeblock.scheduler.filters.driver import driver
from breezeblock.scheduler.policy import Policy
from tests.scheduler.place import pool, request


@pytest.mark.parametrize(
    ("function", "passes"),
    [
        (None, True),
        ("1", True),
        ("0", False),
        ("volume.size < 20", True),
        ("volume.size > 20", False),
        ("stats.free_capacity_gb > 50 and capabilities.multiattach == extra.colour", False),
        ("extra.colour == 'red'", True),
        ("qos.iops >= 100", True),
        ("stats.storage_protocol == 'iscsi'", True),
        ("stats.storage_protocol == 'iSCSI'", True),
        ("capabilities.storage_protocol == 'FC'", False),
        ("stats.filter_function", False),
        ("stats.free_capacity_gb / 0", False),
        ("this is no expression", False),
    ],
)
def test_filter_function(function: str | None, passes: bool) -> None:
    there = pool(filter_function=function, capabilities={"storage_protocol": "iSCSI"})
    verdict = driver(request(extra_specs={"colour": "red"}, qos={"iops": "200"}), there, Policy())
    assert verdict.passed is passes, verdict


def test_an_error_is_told_to_the_operator() -> None:
    verdict = driver(request(), pool(filter_function="stats.fre > 1"), Policy())
    assert verdict.detail == "its filter_function cannot be evaluated: there is no stats.fre here"

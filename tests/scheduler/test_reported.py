# SPDX-License-Identifier: Apache-2.0
"""A driver's report becomes the pool that is decided on."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.drivers.driver import Capabilities, PoolReport
from breezeblock.model.units import GiB
from breezeblock.scheduler.decide import decide
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.reported import pool_state
from tests.scheduler.place import request

NAMES: dict[str, Any] = {"host": "node@local#default", "backend_id": "b1", "backend_name": "local"}


def report(**fields: Any) -> dict[str, Any]:
    can = Capabilities(
        storage_protocol="nbd",
        thin=True,
        clone=True,
        live_snapshot=True,
        online_extend=False,
        multiattach=False,
    )
    numbers = {
        "total": 50 * GiB,
        "free": 40 * GiB,
        "allocated": 5 * GiB,
        "provisioned": 20 * GiB,
        "sampled_at": 7.5,
    }
    built: dict[str, Any] = msgspec.to_builtins(
        PoolReport(**{"name": "default", "capabilities": can, **numbers, **fields})
    )
    return built


def test_numbers_and_capabilities_arrive() -> None:
    pool = pool_state(report(), **NAMES, allocated=9 * GiB, reserved_bytes=GiB, volumes=3)
    facts = pool.facts()
    assert (facts["total_capacity_gb"], facts["free_capacity_gb"]) == (50, 39)
    assert (facts["allocated_capacity_gb"], facts["provisioned_capacity_gb"]) == (10, 21)
    assert facts["thin_provisioning_support"] is True
    assert facts["online_extend_support"] is False
    assert facts["storage_protocol"] == ["nbd"]
    assert facts["updated"] == 7.5
    assert decide(request(29), [pool], Policy()).chosen == "node@local#default"
    assert decide(request(30), [pool], Policy()).chosen is None


def test_a_backend_that_refuses_new_data_is_told_with_its_reason() -> None:
    decision = decide(
        request(), [pool_state(report(usable=False, reason="it is read-only"), **NAMES)], Policy()
    )
    assert decision.pools[0].filters[0].detail == "the backend takes no new data: it is read-only"


def test_a_pool_without_a_report_is_no_candidate() -> None:
    decision = decide(request(), [pool_state({}, **NAMES)], Policy())
    assert "not reported" in decision.pools[0].filters[0].detail

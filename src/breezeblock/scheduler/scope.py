# SPDX-License-Identifier: Apache-2.0
"""What a filter_function or goodness_function may speak of: stats, capabilities, extra, volume and qos (contract, scheduler 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breezeblock.model.pool import PoolState
from breezeblock.scheduler.expression import Value, evaluate
from breezeblock.scheduler.request import PlacementRequest

_STATS = (
    "host", "cluster_name", "backend_id", "volume_backend_name", "vendor_name", "driver_version",
    "storage_protocol", "QoS_support", "total_capacity_gb", "allocated_capacity_gb", "free_capacity_gb",
    "reserved_percentage", "updated",
)  # fmt: skip


def evaluate_for(function: str, request: PlacementRequest, pool: PoolState) -> list[Value]:
    """One result, or one for each spelling of the pool's protocol when the function speaks of it. Raises ExpressionError."""
    facts = pool.facts()
    spellings: list[str] = [""]
    if "storage_protocol" in function:
        spellings = facts["storage_protocol"] or spellings
    return [evaluate(function, _scope({**facts, "storage_protocol": one}, request)) for one in spellings]


def _scope(facts: Mapping[str, Any], request: PlacementRequest) -> Mapping[str, Mapping[str, Any]]:
    return {
        "stats": {name: facts.get(name) for name in _STATS},
        "capabilities": facts,
        "extra": request.extra_specs,
        "volume": request.volume_facts(),
        "qos": request.qos,
    }

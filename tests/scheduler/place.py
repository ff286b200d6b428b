# SPDX-License-Identifier: Apache-2.0
"""Pools and requests in GiB, so that a test's table shows nothing but what it is about."""

from __future__ import annotations

from typing import Any

from breezeblock.model.pool import PoolState
from breezeblock.model.units import GiB
from breezeblock.scheduler.request import PlacementRequest

VOLUME = "5a1c0c1e-0000-4000-8000-000000000001"


def pool(name: str = "a", **fields: Any) -> PoolState:
    """100 GiB, all free, thin. Sizes among `fields` are GiB."""
    for size in ("total", "free", "allocated", "provisioned", "reserved_bytes"):
        if isinstance(fields.get(size), int | float):
            fields[size] = int(fields[size] * GiB)
    return PoolState(
        **{
            "backend_id": f"id-{name}",
            "host": f"node@{name}#{name}",
            "backend_name": name,
            "total": 100 * GiB,
            "free": 100 * GiB,
            "thin": True,
            **fields,
        }
    )


def request(size: float = 10, **fields: Any) -> PlacementRequest:
    if fields.get("new_size") is not None:
        fields["new_size"] = int(fields["new_size"] * GiB)
    return PlacementRequest(**{"volume_id": VOLUME, "size": int(size * GiB), **fields})

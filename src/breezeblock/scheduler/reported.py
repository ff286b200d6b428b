# SPDX-License-Identifier: Apache-2.0
"""From a pool's stored report (a driver's PoolReport as plain data) to the PoolState that is decided on. Owns the translation of a driver's
words into the contract's capability names. Must never invent a number: what was not reported stays at its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breezeblock.model.pool import PoolState

#: A driver's own word -> the name that extra specs use. The other words are kept as they are.
_NAMES = {"online_extend": "online_extend_support", "group_snapshot": "consistent_group_snapshot_enabled"}


def pool_state(
    report: Mapping[str, Any],
    *,
    host: str,
    backend_id: str,
    backend_name: str,
    availability_zone: str = "nova",
    allocated: int | None = None,
    volumes: int = 0,
    reserved_bytes: int = 0,
    up: bool = True,
    enabled: bool = True,
    frozen: bool = False,
    filter_function: str | None = None,
    goodness_function: str | None = None,
) -> PoolState:
    """`allocated` is the sum of the volumes' sizes by the database, in bytes; None leaves the driver's figure. An empty report makes a
    pool that has not reported yet."""
    said: Mapping[str, Any] = report.get("capabilities") or {}
    thin = bool(said.get("thin", False))
    return PoolState(
        backend_id=backend_id,
        host=host,
        backend_name=backend_name,
        total=report.get("total", 0),
        free=report.get("free"),
        allocated=int(report.get("allocated", 0)) if allocated is None else allocated,
        provisioned=report.get("provisioned"),
        reserved_bytes=reserved_bytes,
        reserved_percentage=int(report.get("reserved_percentage", 0)),
        max_over_subscription_ratio=report.get("max_over_subscription_ratio"),
        thin=thin,
        thick=not thin,
        availability_zone=availability_zone,
        capabilities={_NAMES.get(name, name): value for name, value in said.items()},
        volumes=volumes,
        filter_function=filter_function,
        goodness_function=goodness_function,
        up=up,
        enabled=enabled,
        frozen=frozen,
        reported=bool(report),
        usable=bool(report.get("usable", True)),
        reason=str(report.get("reason", "")),
        sampled_at=float(report.get("sampled_at", 0.0)),
    )

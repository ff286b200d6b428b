# SPDX-License-Identifier: Apache-2.0
"""How much a pool can still take: the contract's formula (scheduler 4), once, for the filter and the weigher. In GiB, as the formula's
roundings are part of it. Must never be told twice of the same byte: PoolState has added what was promised since the report."""

from __future__ import annotations

import math

import msgspec

from breezeblock.model.pool import PoolState

#: With 'auto' and nothing provisioned yet.
AUTO_RATIO_OF_AN_EMPTY_POOL = 20.0


class Room(msgspec.Struct, frozen=True):
    """`total_available` and `virtual_free` in GiB, rounded to two decimals."""

    thin: bool
    ratio: float
    total_available: float
    virtual_free: float


def ratio_of(pool: PoolState, default: float | str) -> float:
    """By how much the pool may promise more than it has. 1 where thin provisioning or the numbers are missing."""
    total, free = pool.total_gib(), pool.free_gib()
    if not pool.thin or isinstance(total, str) or isinstance(free, str) or free is None:
        return 1.0
    setting = default if pool.max_over_subscription_ratio is None else pool.max_over_subscription_ratio
    if setting != "auto":
        return _number(setting)
    provisioned = pool.provisioned_gib()
    return 1 + provisioned / (total - free + 1) if provisioned else AUTO_RATIO_OF_AN_EMPTY_POOL


def _number(setting: float | str) -> float:
    """Drivers may report the number as a text. What is no number promises nothing beyond what there is."""
    try:
        return float(setting)
    except ValueError:
        return 1.0


def room(pool: PoolState, total: float, free: float, *, thin: bool, default_ratio: float | str) -> Room:
    """`total` and `free` are the pool's, in GiB, once the caller has dealt with the words infinite and unknown."""
    ratio = ratio_of(pool, default_ratio)
    physical = total - math.floor(total * pool.reserved_percentage / 100)
    provisioned = pool.provisioned_gib()
    if thin and pool.thin:
        available = physical * ratio
        return Room(True, ratio, round(available, 2), round(available - provisioned, 2))
    return Room(False, ratio, round(physical, 2), round(min(physical - provisioned, free), 2))


def gib(amount: float) -> str:
    """For people: '40 GiB', '12.5 GiB'."""
    return f"{amount:.2f}".rstrip("0").rstrip(".") + " GiB"

# SPDX-License-Identifier: Apache-2.0
"""QoS specs: limits that volume types share, and who enforces them."""

from __future__ import annotations

from typing import Literal

import msgspec

#: Who reads the specs: the hypervisor, the storage, both.
Consumer = Literal["front-end", "back-end", "both"]


class QosSpecs(msgspec.Struct, frozen=True):
    """Field order = column order of store.qos."""

    id: str
    name: str
    consumer: str
    specs_json: str
    created_at: str
    updated_at: str | None

    @property
    def specs(self) -> dict[str, str]:
        return msgspec.json.decode(self.specs_json, type=dict[str, str])

    def for_hypervisor(self, size: int) -> dict[str, str] | None:
        """What the connection of a volume of `size` GiB tells of them: limits per GiB become plain ones. None: the storage's alone."""
        return _of_size(self.specs, size) if self.consumer != "back-end" else None


_LIMITS = tuple(f"{way}_{unit}_sec" for unit in ("iops", "bytes") for way in ("read", "write", "total"))


def _of_size(specs: dict[str, str], size: int) -> dict[str, str]:
    """A limit per GiB is that much times the size, not below <key>_per_gb_min and not above <key>_max."""
    left = dict(specs)
    for key in _LIMITS:
        each, least = _number(left.pop(f"{key}_per_gb", None)), _number(left.pop(f"{key}_per_gb_min", None))
        if each is None:
            continue
        most = _number(left.pop(f"{key}_max", None))
        limit = max(least or 0, each * size)
        left[key] = str(limit if most is None else min(limit, most))
    return left


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None

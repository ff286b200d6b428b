# SPDX-License-Identifier: Apache-2.0
"""What was decided, with every reason: plain, frozen and complete, so that the stored JSON explains a placement years later. Must never
refer to anything outside itself, and never lose a pool: the refused ones are the interesting ones."""

from __future__ import annotations

from typing import Literal

import msgspec

from breezeblock.scheduler.request import PlacementRequest

Number = float | int | str | None


class Verdict(msgspec.Struct, frozen=True):
    """One filter's word on one pool. `needed` and `had` are in `unit` when numbers; `detail` is a sentence without its full stop."""

    name: str
    passed: bool
    detail: str = ""
    needed: Number = None
    had: Number = None
    unit: str = ""


class Weight(msgspec.Struct, frozen=True):
    """One weigher's word on one pool: `raw` as measured, `score` what it added to the sum."""

    name: str
    raw: float
    score: float
    multiplier: float


class PoolVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Everything said about one pool. `weight` is there only for pools that no filter refused."""

    pool: str
    backend_id: str
    verdict: Literal["chosen", "passed", "refused"]
    filters: tuple[Verdict, ...]
    weight: float | None = None
    weights: tuple[Weight, ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`chosen` is host@backend#pool, or None and `reason` says why. `ranked` are the pools that passed, best first."""

    chosen: str | None
    backend_id: str | None
    reason: str
    ranked: tuple[str, ...]
    #: One for every pool there was, in the order of their names.
    pools: tuple[PoolVerdict, ...]
    request: PlacementRequest

    @property
    def pool_name(self) -> str | None:
        """The chosen pool's own name on its backend."""
        return None if self.chosen is None else self.chosen.partition("#")[2]

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, stored: bytes | str) -> Decision:
        return msgspec.json.decode(stored, type=cls)

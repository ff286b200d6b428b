# SPDX-License-Identifier: Apache-2.0
"""A Driver around a Driver that goes wrong on demand: late, refusing, full, or doing the work and losing the answer. For tests of what
stands above drivers, and for an operator's rehearsal. Must change nothing else of what the inner driver does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breezeblock.drivers.driver import Capabilities, Driver, Kind, Object, PoolReport, Spec
from breezeblock.host.faults import Faults
from breezeblock.model.call import Context
from breezeblock.model.errors import Unreachable
from breezeblock.model.extents import Extents
from breezeblock.model.observation import Observation
from breezeblock.model.reach import Live, Reach


class FaultyDriver:
    """Driver (see driver.py) that passes every call to `inner`, except for the planned `faults`."""

    def __init__(self, inner: Driver) -> None:
        self._inner = inner
        self.faults = Faults()
        self.plan, self.calls, self._through = self.faults.plan, self.faults.calls, self.faults.through

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def start(self) -> None:
        self._through("start", self._inner.start)

    def pools(self) -> Sequence[PoolReport]:
        return self._through("pools", self._inner.pools)

    def name(self, id: str, kind: Kind) -> str:
        return self._inner.name(id, kind)

    def create(self, spec: Spec, source: Object | None, ctx: Context) -> Object:
        return self._through("create", lambda: self._inner.create(spec, source, ctx))

    def delete(self, obj: Object, ctx: Context) -> None:
        self._through("delete", lambda: self._inner.delete(obj, ctx))

    def extend(self, obj: Object, size: int, live: Live | None, ctx: Context) -> Object:
        return self._through("extend", lambda: self._inner.extend(obj, size, live, ctx))

    def snapshot(
        self, of: Sequence[tuple[Object, str]], live: Mapping[str, Live], ctx: Context
    ) -> Sequence[Object]:
        return self._through("snapshot", lambda: self._inner.snapshot(of, live, ctx))

    def checkpoint(self, volume: Object, id: str, live: Live | None, ctx: Context) -> Object:
        return self._through("checkpoint", lambda: self._inner.checkpoint(volume, id, live, ctx))

    def revert(self, volume: Object, to: Object, ctx: Context) -> Object:
        return self._through("revert", lambda: self._inner.revert(volume, to, ctx))

    def find(self, name: str) -> Observation[Object]:
        """A backend that cannot be asked does not know: an error or a lost answer is UNKNOWN here, as the Protocol has it."""
        try:
            return self._through("find", lambda: self._inner.find(name))
        except Unreachable as silent:
            return Observation.unknown(str(silent))

    def list(self, after: str | None, limit: int) -> Sequence[Object]:
        return self._through("list", lambda: self._inner.list(after, limit))

    def adopt(self, ref: Mapping[str, str], id: str, ctx: Context) -> Object:
        return self._through("adopt", lambda: self._inner.adopt(ref, id, ctx))

    def reach(self, obj: Object) -> Reach:
        return self._through("reach", lambda: self._inner.reach(obj))

    def extents(self, obj: Object, since: Object | None) -> Extents:
        return self._through("extents", lambda: self._inner.extents(obj, since))

    def tidy(self, live: Mapping[str, Live], ctx: Context) -> int:
        return self._through("tidy", lambda: self._inner.tidy(live, ctx))

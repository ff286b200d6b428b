# SPDX-License-Identifier: Apache-2.0
"""A Target around a Target that goes wrong on demand: late, refusing, full, or doing the work and losing the answer. For tests of what
stands above targets, and for an operator's rehearsal. Must change nothing else of what the inner target does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breezeblock.host.faults import Faults
from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.model.observation import Observation
from breezeblock.model.reach import Live, Reach
from breezeblock.targets.target import ConnectionInfo, Export, Mode, Session, Target, TargetCapabilities


class FaultyTarget:
    """Target (see target.py) that passes every call to `inner`, except for the planned `faults`."""

    def __init__(self, inner: Target) -> None:
        self._inner = inner
        self.faults = Faults()
        self.plan, self.calls, self._through = self.faults.plan, self.faults.calls, self.faults.through

    @property
    def capabilities(self) -> TargetCapabilities:
        return self._inner.capabilities

    def accepts(self, reach: Reach) -> bool:
        return self._inner.accepts(reach)

    def start(self) -> None:
        self._through("start", self._inner.start)

    def name(self, volume_id: str) -> str:
        return self._inner.name(volume_id)

    def export(self, reach: Reach, volume_id: str, size: int, mode: Mode, ctx: Context) -> Export:
        return self._through("export", lambda: self._inner.export(reach, volume_id, size, mode, ctx))

    def admit(self, export: Export, host: Mapping[str, Any], ctx: Context) -> ConnectionInfo:
        return self._through("admit", lambda: self._inner.admit(export, host, ctx))

    def dismiss(self, export: Export, host: Mapping[str, Any] | None, ctx: Context) -> bool:
        return self._through("dismiss", lambda: self._inner.dismiss(export, host, ctx))

    def unexport(self, export: Export, ctx: Context, *, force: bool = False) -> None:
        self._through("unexport", lambda: self._inner.unexport(export, ctx, force=force))

    def sessions(self, export: Export) -> Sequence[Session]:
        return self._through("sessions", lambda: self._inner.sessions(export))

    def find(self, name: str) -> Observation[Export]:
        """A target that cannot be asked does not know: an error or a lost answer is UNKNOWN here, as the Protocol has it."""
        try:
            return self._through("find", lambda: self._inner.find(name))
        except errors.Unreachable as silent:
            return Observation.unknown(str(silent))

    def list(self) -> Sequence[str]:
        return self._through("list", self._inner.list)

    def resized(self, export: Export, size: int, ctx: Context) -> None:
        self._through("resized", lambda: self._inner.resized(export, size, ctx))

    def live(self, export: Export) -> Live | None:
        return self._inner.live(export)

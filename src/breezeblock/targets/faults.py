# SPDX-License-Identifier: Apache-2.0
"""A Target around a Target that goes wrong on demand: late, refusing, full, or doing the work and losing the answer. For tests of what
stands above targets, and for an operator's rehearsal. Must change nothing else of what the inner target does."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from breezeblock.model import errors
from breezeblock.model.call import Context
from breezeblock.model.observation import Observation
from breezeblock.model.reach import Live, Reach
from breezeblock.targets.target import ConnectionInfo, Export, Mode, Session, Target, TargetCapabilities

T = TypeVar("T")


class FaultKind(enum.StrEnum):
    DELAY = "delay"
    #: refused before the work.
    ERROR = "error"
    #: no space, before the work.
    FULL = "full"
    #: the work is done, and the caller never learns of it.
    LOST = "lost"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to the next `times` calls of `verb` ("export", "admit", ...). `seconds`: of a delay."""

    verb: str
    kind: FaultKind
    times: int = 1
    seconds: float = 0.0


class FaultyTarget:
    """Target (see target.py) that passes every call to `inner`, except for the faults planned with `plan`."""

    def __init__(self, inner: Target) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._planned: list[Fault] = []
        #: verbs in the order in which they came, faulty or not.
        self.calls: list[str] = []

    def plan(self, *faults: Fault) -> None:
        with self._lock:
            self._planned += faults

    @property
    def planned(self) -> Sequence[Fault]:
        """Faults that have not happened yet."""
        return tuple(self._planned)

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

    def _through(self, verb: str, call: Callable[[], T]) -> T:
        fault = self._take(verb)
        if fault is None:
            return call()
        if fault.kind is FaultKind.DELAY:
            time.sleep(fault.seconds)
            return call()
        if fault.kind is FaultKind.FULL:
            raise errors.NoSpace("Planned fault: the storage is full", needed="some bytes", had="0 bytes")
        if fault.kind is FaultKind.LOST:
            call()
        raise errors.Unreachable(
            f"Planned fault: {verb} {'is done and its answer lost' if fault.kind is FaultKind.LOST else 'fails'}",
            needed="an answer",
            had="none",
        )

    def _take(self, verb: str) -> Fault | None:
        with self._lock:
            self.calls.append(verb)
            for at, fault in enumerate(self._planned):
                if fault.verb == verb:
                    left = msgspec.structs.replace(fault, times=fault.times - 1)
                    self._planned[at : at + 1] = [left] if left.times else []
                    return fault
        return None

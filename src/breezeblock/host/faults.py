# SPDX-License-Identifier: Apache-2.0
"""Calls to the outside that go wrong on demand: late, refused, full, or done with their answer lost. What the wrappers around drivers,
targets and connectors share; a call that no fault is planned for passes untouched."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from breezeblock.model.errors import Error, NoSpace, Unreachable

T = TypeVar("T")


class FaultKind(enum.StrEnum):
    DELAY = "delay"
    #: refused before the work.
    ERROR = "error"
    #: an error that no retry mends, before the work: usually no space.
    FULL = "full"
    #: the work is done, and the caller never learns of it.
    LOST = "lost"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to the next `times` calls of `verb` ("create", "export", ...). `seconds`: of a delay."""

    verb: str
    kind: FaultKind
    times: int = 1
    seconds: float = 0.0


def _full(verb: str) -> Error:
    return NoSpace("Planned fault: the storage is full", needed="some bytes", had="0 bytes")


class Faults:
    """Those planned and not come yet, and every verb that was called. `full`: what FULL means here."""

    def __init__(self, full: Callable[[str], Error] = _full) -> None:
        self._lock, self._full = threading.Lock(), full
        self._planned: list[Fault] = []
        #: verbs in the order in which they came, faulty or not.
        self.calls: list[str] = []

    def plan(self, *faults: Fault) -> None:
        with self._lock:
            self._planned += faults

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._planned.clear()

    @property
    def planned(self) -> Sequence[Fault]:
        """Faults that have not happened yet."""
        return tuple(self._planned)

    def through(self, verb: str, call: Callable[[], T]) -> T:
        fault = self._take(verb)
        if fault is None:
            return call()
        if fault.kind is FaultKind.DELAY:
            time.sleep(fault.seconds)
            return call()
        if fault.kind is FaultKind.FULL:
            raise self._full(verb)
        if fault.kind is FaultKind.LOST:
            call()
        raise Unreachable(
            f"Planned fault: {verb} {'is done and its answer lost' if fault.kind is FaultKind.LOST else 'fails'}",
            needed="an answer",
            had="none",
        )

    def _take(self, verb: str) -> Fault | None:
        """The first planned fault of this verb, counted down."""
        with self._lock:
            self.calls.append(verb)
            for at, fault in enumerate(self._planned):
                if fault.verb == verb:
                    left = msgspec.structs.replace(fault, times=fault.times - 1)
                    self._planned[at : at + 1] = [left] if left.times else []
                    return fault
        return None

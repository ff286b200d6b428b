# SPDX-License-Identifier: Apache-2.0
"""A Connector around a Connector that goes wrong on demand, as drivers/faults.py does for drivers: refusing, late, or connecting and
losing the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from breezeblock.brick.connector import Connector, Device, Identity
from breezeblock.drivers.faults import Fault, FaultKind
from breezeblock.model.errors import DeviceWrong, Unreachable
from breezeblock.model.observation import Observation

T = TypeVar("T")


class FaultyConnector:
    """FULL is an error that no retry mends (the device is another volume); the others are as in drivers/faults.py."""

    def __init__(self, inner: Connector) -> None:
        self._inner, self._lock = inner, threading.Lock()
        self._planned: list[Fault] = []
        self.calls: list[str] = []

    def plan(self, *faults: Fault) -> None:
        with self._lock:
            self._planned += faults

    @property
    def protocols(self) -> frozenset[str]:
        return self._inner.protocols

    def properties(self) -> Mapping[str, Any]:
        return self._inner.properties()

    def connect_volume(self, info: Mapping[str, Any], expect: Identity) -> Device:
        return self._through("connect", lambda: self._inner.connect_volume(info, expect))

    def disconnect_volume(
        self,
        info: Mapping[str, Any],
        device: Device | None,
        *,
        force: bool = False,
        ignore_errors: bool = False,
    ) -> None:
        self._through(
            "disconnect",
            lambda: self._inner.disconnect_volume(info, device, force=force, ignore_errors=ignore_errors),
        )

    def extend_volume(self, info: Mapping[str, Any]) -> int:
        return self._through("extend", lambda: self._inner.extend_volume(info))

    def observe(self, info: Mapping[str, Any]) -> Observation[Device]:
        return self._inner.observe(info)

    def check_valid_device(self, path: str) -> bool:
        return self._inner.check_valid_device(path)

    def _through(self, verb: str, call: Callable[[], T]) -> T:
        fault = self._take(verb)
        if fault is None:
            return call()
        if fault.kind is FaultKind.DELAY:
            time.sleep(fault.seconds)
            return call()
        if fault.kind is FaultKind.FULL:
            raise DeviceWrong(
                f"Planned fault: {verb} finds another volume", needed="the volume", had="another"
            )
        if fault.kind is FaultKind.LOST:
            call()
        raise Unreachable(f"Planned fault: {verb}", needed="an answer", had="none")

    def _take(self, verb: str) -> Fault | None:
        with self._lock:
            self.calls.append(verb)
            for index, fault in enumerate(self._planned):
                if fault.verb == verb:
                    left = fault.times - 1
                    self._planned[index : index + 1] = (
                        [Fault(verb=verb, kind=fault.kind, times=left, seconds=fault.seconds)] if left else []
                    )
                    return fault
        return None

# SPDX-License-Identifier: Apache-2.0
"""A Connector around a Connector that goes wrong on demand, as drivers/faults.py does for drivers: refusing, late, or connecting and
losing the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breezeblock.brick.connector import Connector, Device, Identity
from breezeblock.host.faults import Faults
from breezeblock.model.errors import DeviceWrong
from breezeblock.model.observation import Observation


def _another(verb: str) -> DeviceWrong:
    return DeviceWrong(f"Planned fault: {verb} finds another volume", needed="the volume", had="another")


class FaultyConnector:
    """FULL is an error that no retry mends (the device is another volume); the others are as in host/faults.py."""

    def __init__(self, inner: Connector) -> None:
        self._inner, self.faults = inner, Faults(_another)
        self.plan, self.calls, self._through = self.faults.plan, self.faults.calls, self.faults.through

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

# SPDX-License-Identifier: Apache-2.0
"""The Connector Protocol: a connection_info becomes a device of this host, and goes again. A connector verifies that the device is
the volume before handing it out and that it is gone afterwards; it never formats, mounts or decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from breezeblock.model.observation import Observation


class Identity(msgspec.Struct, frozen=True):
    """What the device must be: its volume and size in bytes (None: unknown to the caller)."""

    volume_id: str
    size: int | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A volume on this host. `kind`: "block" (path is a device), "file", or "uri" (no device could be made: path is e.g. an NBD URI
    for user-space programs). `how` names the path taken ("loop", "fuse+loop", "nbdfuse+loop", "kernel-nbd", "uri")."""

    kind: str
    path: str
    how: str
    size: int | None = None
    state: Mapping[str, Any] = {}


class Connector(Protocol):
    @property
    def protocols(self) -> frozenset[str]: ...

    def properties(self) -> Mapping[str, Any]:
        """What this host sends to the service: the connector part of its properties."""
        ...

    def connect_volume(self, info: Mapping[str, Any], expect: Identity) -> Device:
        """info = {"driver_volume_type", "data"}. Idempotent: a volume already connected gives the same Device.
        Raises DeviceWrong, Unreachable, TimedOut, ProgramMissing."""
        ...

    def disconnect_volume(
        self,
        info: Mapping[str, Any],
        device: Device | None,
        *,
        force: bool = False,
        ignore_errors: bool = False,
    ) -> None:
        """Flush, remove, and check that it is gone. Absent is success. Raises Busy while it is open (mounted): `ignore_errors`
        forgives every error but this one, because its holder goes on writing; `force` cuts the holder off where it can."""
        ...

    def extend_volume(self, info: Mapping[str, Any]) -> int:
        """See the volume's new size; returns bytes."""
        ...

    def observe(self, info: Mapping[str, Any]) -> Observation[Device]: ...

    def check_valid_device(self, path: str) -> bool:
        """Can a first block be read?"""
        ...

# SPDX-License-Identifier: Apache-2.0
"""The Target Protocol: exports of volumes to hosts. An exporter process carries people's disks: it lives in a session of its own,
outlives this service and is adopted at the next start. A target never ends an export while a session lives (Busy)."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from breezeblock.model.call import Context
from breezeblock.model.observation import Observation
from breezeblock.model.reach import Live, Reach
from breezeblock.model.secret import Secret


class Mode(enum.StrEnum):
    RW = "rw"
    RO = "ro"


class TargetCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """`protocol` is the driver_volume_type of its connection info. `remote`: other hosts can reach it. `live_*`: what its Live port can."""

    protocol: str
    remote: bool
    live_snapshot: bool
    live_resize: bool
    multiattach: bool = False


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An export that stands. `name` is derived from the volume id; `provider` is opaque target data (no secrets)."""

    name: str
    volume_id: str
    mode: Mode
    size: int
    provider: Mapping[str, Any] = {}


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a host needs to connect: the API's {driver_volume_type, data}. `secrets` are merged into data only for their reader."""

    driver_volume_type: str
    data: Mapping[str, Any]
    secrets: Mapping[str, Secret] = {}


class Session(msgspec.Struct, frozen=True):
    """Somebody who holds an export open: `client` as the exporter names it (an address, a device, a pid)."""

    client: str
    detail: str = ""


class Target(Protocol):
    """One way out. Thread-safe; calls for one export are serialised by the target itself."""

    @property
    def capabilities(self) -> TargetCapabilities: ...

    def accepts(self, reach: Reach) -> bool: ...

    def start(self) -> None:
        """Adopt the exporters that a predecessor left running; check the programs needed."""
        ...

    def name(self, volume_id: str) -> str:
        """The export's name, derived from the volume id alone."""
        ...

    def export(self, reach: Reach, volume_id: str, size: int, mode: Mode, ctx: Context) -> Export:
        """Make (or find standing) the export of a volume. Idempotent."""
        ...

    def admit(self, export: Export, host: Mapping[str, Any], ctx: Context) -> ConnectionInfo:
        """Let a host (its connector properties) in. Raises BadRequest when the connector lacks what the protocol needs."""
        ...

    def dismiss(self, export: Export, host: Mapping[str, Any] | None, ctx: Context) -> bool:
        """Take the admission back (None: from every host). True: others still share the export."""
        ...

    def unexport(self, export: Export, ctx: Context, *, force: bool = False) -> None:
        """End the export; absent is success. Raises Busy, naming the sessions, while somebody holds it open (unless forced)."""
        ...

    def sessions(self, export: Export) -> Sequence[Session]: ...

    def find(self, name: str) -> Observation[Export]: ...

    def list(self) -> Sequence[str]:
        """Names of all exports that stand."""
        ...

    def resized(self, export: Export, size: int, ctx: Context) -> None:
        """The volume has grown to `size`: tell who uses it."""
        ...

    def live(self, export: Export) -> Live | None:
        """The port to the process that holds the volume open; None where the kernel does (a plain loop device)."""
        ...

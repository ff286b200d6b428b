# SPDX-License-Identifier: Apache-2.0
"""The Driver Protocol: how operations reach storage. Calls are synchronous, idempotent and take whole, plain values; sizes are bytes.
A driver never decides a status, never touches the database, and does every mutation of an object under that object's lock on the
storage host, refusing (Fenced) when the fence token stored there is higher than the caller's (docs/ARCHITECTURE.md, fencing)."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from breezeblock.model.call import Context
from breezeblock.model.extents import Extents
from breezeblock.model.observation import Observation
from breezeblock.model.reach import Live, Reach


class Kind(enum.StrEnum):
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    #: A hidden, uncharged point in time of a volume (backups and migrations keep them).
    CHECKPOINT = "checkpoint"


class Observe(enum.StrEnum):
    """How surely `find` answers: see Capabilities.observe."""

    EXACT = "exact"
    BY_DELETE = "by-delete"
    NONE = "none"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend can do; stored as rows, so that the API refuses early. `reads_zero_when_new`: a new volume shows no old bytes."""

    storage_protocol: str
    thin: bool
    clone: bool
    live_snapshot: bool
    online_extend: bool
    group_snapshot: bool = False
    extents: bool = False
    checkpoint: bool = False
    revert: bool = True
    multiattach: bool = False
    #: Only the host that holds the storage can work on it (a folder, LVM); its queue is backend/<id>@<host>.
    host_bound: bool = True
    reads_zero_when_new: bool = True
    observe: Observe = Observe.EXACT


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A volume to be made: whole, no look-ups needed. `size` in bytes. `pool` is the pool's own name on the backend."""

    id: str
    size: int
    pool: str
    project_id: str = ""
    type_name: str = ""
    extra_specs: Mapping[str, str] = {}


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """A thing on a backend. `name` is its external name; `provider` is opaque driver data, stored and given back as it was.
    `parent` is the volume's object name for a snapshot or checkpoint."""

    kind: Kind
    id: str
    name: str
    size: int
    pool: str = ""
    parent: str = ""
    provider: Mapping[str, Any] = {}


class PoolReport(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as sampled at `sampled_at` (seconds since the epoch, taken BEFORE measuring). All sizes in bytes. `allocated` is what the
    data occupies, `provisioned` the sum of virtual sizes promised. `usable` False: the pool refuses new data, `reason` says why."""

    name: str
    total: int
    free: int
    allocated: int
    provisioned: int
    sampled_at: float
    capabilities: Capabilities
    reserved_percentage: int = 0
    max_over_subscription_ratio: float = 1.0
    usable: bool = True
    reason: str = ""


class Driver(Protocol):
    """One backend. Thread-safe: calls for different objects run at the same time."""

    @property
    def capabilities(self) -> Capabilities: ...

    def start(self) -> None:
        """Check that the backend can be used, finish what a killed predecessor left half-done. Errors say what to mend."""
        ...

    def pools(self) -> Sequence[PoolReport]: ...

    def name(self, id: str, kind: Kind) -> str:
        """The external name, derived from the id alone."""
        ...

    def create(self, spec: Spec, source: Object | None, ctx: Context) -> Object:
        """Make a volume: empty, from a snapshot, or a clone of a volume (whose `live` is found by the caller holding its key: a
        source volume that is attached is cloned through a checkpoint). Grows to spec.size. Raises NoSpace, NotThere (source), BadSize,
        Busy (a source volume that is written to)."""
        ...

    def delete(self, obj: Object, ctx: Context) -> None:
        """Absent is success. Raises Busy while somebody holds it open."""
        ...

    def extend(self, obj: Object, size: int, live: Live | None, ctx: Context) -> Object:
        """Never shrinks; a size already reached is success."""
        ...

    def snapshot(
        self, of: Sequence[tuple[Object, str]], live: Mapping[str, Live], ctx: Context
    ) -> Sequence[Object]:
        """A snapshot with the given id for each volume, at one point in time when there are several. `live` is by volume id, for
        volumes held open. Returns the snapshots in order; the volume's own Object may have moved: ask `find`."""
        ...

    def revert(self, volume: Object, to: Object, ctx: Context) -> Object:
        """The volume's content becomes the snapshot's. The volume is not attached. Returns the volume's Object."""
        ...

    def find(self, name: str) -> Observation[Object]:
        """Look an object up by its external name."""
        ...

    def list(self, after: str | None, limit: int) -> Sequence[Object]:
        """Objects of this service on the backend in name order, after a name."""
        ...

    def adopt(self, ref: Mapping[str, str], id: str, ctx: Context) -> Object:
        """Take an existing file or device ({"source-name": ...}) into the service's care as volume `id`. Raises BadFormat,
        NotThere, Busy. Not to be undone by `delete`, which would destroy what was somebody's file: let it be the last effect."""
        ...

    def reach(self, obj: Object) -> Reach:
        """How the storage host reaches the bytes."""
        ...

    def extents(self, obj: Object, since: Object | None) -> Extents: ...

    def tidy(self, live: Mapping[str, Live], ctx: Context) -> int:
        """Reclaim what deletes left for later (layers that nobody needs by themselves). `live` is by volume id: then only below these
        volumes, which are held open and whose keys the caller holds; empty: everywhere, leaving what is in use alone. Returns how much
        was done; 0: nothing is left that could be."""
        ...

    def checkpoint(self, volume: Object, id: str, live: Live | None, ctx: Context) -> Object:
        """A hidden point in time of the volume; deleted with `delete`."""
        ...

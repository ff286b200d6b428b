# SPDX-License-Identifier: Apache-2.0
"""A pool as the service knows it: what its newest report said, whether its service answers, and what was promised since. Owns the names
under which the outside (extra specs, filter functions, the pools API) reads it. Must never decide what fits: the scheduler does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from breezeblock.model.units import GiB

#: A size in bytes, or the driver's word that it cannot tell.
Amount = int | Literal["infinite", "unknown"]

#: One protocol, its spellings. A type may ask for any of them; the API shows the first.
_PROTOCOL_SPELLINGS = (
    ("iSCSI", "iscsi"),
    ("FC", "fibre_channel", "fc"),
    ("NFS", "nfs"),
    ("NVMe-oF", "NVMeOF", "nvmeof"),
)


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """All sizes in bytes, as sampled; `reserved_bytes` is the sum of the reservations that no report has counted yet. The methods whose
    names end in `gib` include that promise, so nobody can forget it: a promised byte is provisioned, allocated and not free."""

    #: What rows refer to; survives a renamed host.
    backend_id: str
    #: host@backend#pool, made for the API.
    host: str
    #: What the extra spec volume_backend_name is compared with.
    backend_name: str
    total: Amount = 0
    #: None: the report did not say.
    free: Amount | None = 0
    allocated: int = 0
    #: Sum of the virtual sizes. None: the report did not say, `allocated` stands in.
    provisioned: int | None = None
    reserved_bytes: int = 0
    reserved_percentage: int = 0
    #: A number of at least 1, 'auto', or None for the scheduler's own setting.
    max_over_subscription_ratio: float | str | None = None
    thin: bool = False
    thick: bool = False
    availability_zone: str = "nova"
    #: What the driver reports beyond the fields here; values may be nested mappings and lists.
    capabilities: Mapping[str, Any] = {}
    #: Number of volumes whose row names this pool.
    volumes: int = 0
    filter_function: str | None = None
    goodness_function: str | None = None
    #: The service that owns the pool answers, takes new work, and has reported at least once.
    up: bool = True
    enabled: bool = True
    frozen: bool = False
    reported: bool = True
    #: False: the backend itself refuses new data and says why.
    usable: bool = True
    reason: str = ""
    #: Seconds since the epoch of the newest report's sample.
    sampled_at: float = 0.0

    @property
    def pool_name(self) -> str:
        """The pool's own name on its backend."""
        return self.host.partition("#")[2]

    @property
    def backend_host(self) -> str:
        """host@backend, without the pool."""
        return self.host.partition("#")[0]

    @property
    def host_name(self) -> str:
        """The machine's part alone."""
        return self.host.partition("@")[0]

    def answers_to(self, reference: str) -> bool:
        """Does `reference` (host@backend#pool, host@backend, or a backend id) name this pool or its whole backend?"""
        return reference in (self.host, self.backend_host, self.backend_id)

    def total_gib(self) -> float | str:
        return self.total if isinstance(self.total, str) else self.total / GiB

    def free_gib(self) -> float | str | None:
        if self.free is None or isinstance(self.free, str):
            return self.free
        return (self.free - self.reserved_bytes) / GiB

    def allocated_gib(self) -> float:
        return (self.allocated + self.reserved_bytes) / GiB

    def provisioned_gib(self) -> float:
        provisioned = self.allocated if self.provisioned is None else self.provisioned
        return (provisioned + self.reserved_bytes) / GiB

    def protocols(self) -> tuple[str, ...]:
        """Every spelling of the pool's storage protocol; the first is the one to show."""
        reported = self.capabilities.get("storage_protocol")
        if reported is None:
            return ()
        if isinstance(reported, list | tuple):
            return tuple(str(one) for one in reported)
        for spellings in _PROTOCOL_SPELLINGS:
            if reported in spellings:
                return spellings
        return (str(reported),)

    def facts(self) -> dict[str, Any]:
        """The pool under the names that extra specs, filter functions and the pools API use (contract, scheduler 2). Sizes in GiB."""
        return {
            "QoS_support": False,
            "multiattach": False,
            "online_extend_support": True,
            **self.capabilities,
            "storage_protocol": list(self.protocols()),
            "host": self.host,
            "backend_id": self.backend_id,
            "cluster_name": None,
            "pool_name": self.pool_name,
            "volume_backend_name": self.backend_name,
            "availability_zone": self.availability_zone,
            "total_capacity_gb": self.total_gib(),
            "free_capacity_gb": self.free_gib(),
            "allocated_capacity_gb": self.allocated_gib(),
            "provisioned_capacity_gb": self.provisioned_gib(),
            "reserved_percentage": self.reserved_percentage,
            "max_over_subscription_ratio": self.max_over_subscription_ratio,
            "thin_provisioning_support": self.thin,
            "thick_provisioning_support": self.thick,
            "filter_function": self.filter_function,
            "goodness_function": self.goodness_function,
            "updated": self.sampled_at,
        }

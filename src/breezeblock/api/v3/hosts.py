# SPDX-License-Identifier: Apache-2.0
"""The hosts of storage (os-hosts, deprecated), and what a backend can do (capabilities)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.route import WRITE, Query, route
from breezeblock.api.v3.services import DOWN_AFTER, VOLUME, find
from breezeblock.model.errors import NotFound
from breezeblock.store import pools, services, usage_by_project
from breezeblock.store.services import ServiceRow
from breezeblock.store.transaction import Tx

RULE = "volume_extension:hosts"


_SPELLED = {
    "service_status": "service-status",
    "service_state": "service-state",
    "last_update": "last-update",
}


class HostRow(msgspec.Struct, frozen=True, rename=_SPELLED):
    host_name: str
    service: str
    zone: str
    service_status: str
    service_state: str
    last_update: str


class Hosts(msgspec.Struct, frozen=True):
    hosts: list[HostRow]


class Resource(msgspec.Struct, frozen=True):
    """Numbers are text there."""

    host: str
    project: str
    volume_count: str
    total_volume_gb: str
    snapshot_count: str
    total_snapshot_gb: str


class Share(msgspec.Struct, frozen=True):
    resource: Resource


class HostUsage(msgspec.Struct, frozen=True):
    host: list[Share]


class Wanted(msgspec.Struct):
    status: Literal["enable", "disable"]


class Switched(msgspec.Struct, frozen=True):
    host: str
    status: str


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    namespace: str
    vendor_name: str
    volume_backend_name: str
    pool_name: str | None
    driver_version: str
    storage_protocol: str | None
    display_name: str | None
    description: str | None
    visibility: str | None
    replication_targets: list[Any]
    properties: dict[str, Any]


@route("hosts.list", "GET /os-hosts", policy=RULE, query=(Query(name="zone", schema={"type": "string"}),))
def index(call: Call, tx: Tx) -> Hosts:
    """List hosts whose services take new work."""
    zone = call.query.get("zone")
    rows = [row for row in services.page(tx) if not row.disabled and zone in (None, row.availability_zone)]
    return Hosts([_host(row) for row in rows])


@route("hosts.show", "GET /os-hosts/{host}", policy=RULE)
def show(call: Call, tx: Tx, host: str) -> HostUsage:
    """What projects have on a backend, all together first."""
    row = _volume_service(tx, host)
    shares = usage_by_project.of_backend(tx, row.backend_id or "")
    total = [sum(numbers) for numbers in zip(*(share[1:] for share in shares), strict=True)] or [0, 0, 0, 0]
    told = [("(total)", *total), *shares]
    return HostUsage([Share(Resource(host, *(str(value) for value in share))) for share in told])


@route("hosts.update", "PUT /os-hosts/{host}", hop=WRITE, policy=RULE, body=Body(None, Wanted))
def update(call: Call, tx: Tx, host: str, body: Wanted) -> Switched:
    """Let a backend take new work, or not."""
    disabled = body.status == "disable"
    services.switch(tx, _volume_service(tx, host), disabled=disabled, reason=None)
    return Switched(host, "disabled" if disabled else "enabled")


@route("capabilities.show", "GET /capabilities/{host}", policy="volume_extension:capabilities")
def capabilities(call: Call, tx: Tx, host: str) -> Capabilities:
    """What a backend can do."""
    wanted = host.partition("#")[0]
    pool = next((row for row in pools.page(tx) if row.host.partition("#")[0] == wanted), None)
    if pool is None:
        raise NotFound(f"Backend {host[:60]} could not be found")
    said = pool.report.get("capabilities") or {}
    protocol = said.get("storage_protocol")
    return Capabilities(
        namespace=f"OS::Storage::Capabilities::{wanted}",
        vendor_name=str(said.get("vendor_name", "")),
        volume_backend_name=pool.backend.name,
        pool_name=pool.name,
        driver_version=str(said.get("driver_version", "")),
        storage_protocol=protocol[0] if isinstance(protocol, list) and protocol else protocol or None,
        display_name=None,
        description=None,
        visibility=None,
        replication_targets=[],
        properties={
            name: {"title": title, "description": text, "type": "boolean"}
            for name, (title, text) in _PROPERTIES.items()
        },
    )


#: The standard ones: extra specs may ask for them.
_PROPERTIES = {
    "thin_provisioning": ("Thin Provisioning", "Space is taken when it is written to."),
    "compression": ("Compression", "Data is compressed."),
    "qos": ("QoS", "Limits of the volume's type are kept by the storage."),
    "replication_enabled": ("Replication", "Volumes are copied to another backend."),
}


def _volume_service(tx: Tx, host: str) -> ServiceRow:
    row = find(tx, host, VOLUME)
    if row is None or row.backend_id is None:
        raise NotFound(f"Host {host[:60]} could not be found", needed="host@backend of a volume service")
    return row


def _host(row: ServiceRow) -> HostRow:
    up = row.age_seconds <= DOWN_AFTER
    return HostRow(
        row.host,
        row.binary,
        row.availability_zone,
        "available" if up else "unavailable",
        "enabled",
        row.updated_at,
    )

# SPDX-License-Identifier: Apache-2.0
"""The services that are there, as administrators see them."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.route import Query, route
from breezeblock.store import pools, services
from breezeblock.store.services import ServiceRow
from breezeblock.store.transaction import Tx

#: A service not seen for so many seconds is down.
DOWN_AFTER = 60
CLUSTERS, BACKEND_STATE = 7, 49
VOLUME = "cinder-volume"


class ServiceDetail(msgspec.Struct, frozen=True):
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    replication_status: str | UnsetType | None = UNSET
    active_backend_id: str | UnsetType | None = UNSET
    frozen: bool | UnsetType = UNSET
    cluster: str | UnsetType | None = UNSET
    backend_state: str | UnsetType | None = UNSET


class Answer(msgspec.Struct, frozen=True):
    services: list[ServiceDetail]


@route(
    "services.list",
    "GET /os-services",
    policy="volume_extension:services:index",
    query=(Query(name="host", schema={"type": "string"}), Query(name="binary", schema={"type": "string"})),
)
def index(call: Call, tx: Tx) -> Answer:
    """List services."""
    host, binary = call.query.get("host"), call.query.get("binary") or call.query.get("service")
    backends = {backend.id: backend for backend in pools.all_backends(tx)}
    return Answer(
        [
            _detail(call, row, backends.get(row.backend_id or ""))
            for row in services.page(tx)
            if (not host or row.host == host or row.host.partition("@")[0] == host)
            and (not binary or row.binary == binary)
        ]
    )


def _detail(call: Call, row: ServiceRow, backend: pools.BackendRow | None) -> ServiceDetail:
    volume = row.binary == VOLUME
    return ServiceDetail(
        row.binary,
        row.host,
        row.availability_zone,
        "disabled" if row.disabled else "enabled",
        "up" if row.age_seconds <= DOWN_AFTER else "down",
        row.updated_at,
        row.disabled_reason,
        "disabled" if volume else UNSET,
        None if volume else UNSET,
        (backend.frozen if backend else False) if volume else UNSET,
        None if call.version >= CLUSTERS else UNSET,
        (backend.state if backend else None) if volume and call.version >= BACKEND_STATE else UNSET,
    )

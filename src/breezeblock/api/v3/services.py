# SPDX-License-Identifier: Apache-2.0
"""The services that are there, as administrators see them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from breezeblock.api.body import Body, since
from breezeblock.api.call import Call
from breezeblock.api.fields import Name, Text255, not_blank, printable
from breezeblock.api.route import WRITE, Query, route
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.store import pools, services
from breezeblock.store.services import ServiceRow
from breezeblock.store.transaction import Tx

#: A service not seen for so many seconds is down.
DOWN_AFTER = 60
CLUSTERS, BACKEND_STATE = 7, 49
VOLUME = "cinder-volume"
#: A body may name a cluster instead from here on.
CLUSTER_BODY = 26
UPDATE = "volume_extension:services:update"


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


#: host, host@backend or host@backend#pool.
Host = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-._#@:/+\[\]]+(?!\n)$")]


class Which(msgspec.Struct):
    """A service by its host and its binary, under either name."""

    host: Host
    binary: Name | None = None
    service: Name | None = None
    cluster: Annotated[Text255 | None, since(CLUSTERS)] = None


class WhichAndWhy(Which, kw_only=True):
    disabled_reason: Name

    def __post_init__(self) -> None:
        not_blank("disabled_reason", self.disabled_reason)
        printable("disabled_reason", self.disabled_reason)


class Backend(msgspec.Struct):
    host: Host | None = None
    cluster: Annotated[Text255 | None, since(CLUSTER_BODY)] = None


class Switched(msgspec.Struct, frozen=True):
    host: str
    service: str
    binary: str
    status: str
    disabled: bool
    disabled_reason: str | UnsetType = UNSET


@route("services.enable", "PUT /os-services/enable", hop=WRITE, policy=UPDATE, body=Body(None, Which))
def enable(call: Call, tx: Tx, body: Which) -> Switched:
    """A service takes new work again."""
    return _switch(tx, body, disabled=False)


@route("services.disable", "PUT /os-services/disable", hop=WRITE, policy=UPDATE, body=Body(None, Which))
def disable(call: Call, tx: Tx, body: Which) -> Switched:
    """A service takes no new work: nothing is placed on its backend. What is there stays usable."""
    return _switch(tx, body, disabled=True)


@route(
    "services.disable_log_reason",
    "PUT /os-services/disable-log-reason",
    hop=WRITE,
    policy=UPDATE,
    body=Body(None, WhichAndWhy),
)
def disable_with_reason(call: Call, tx: Tx, body: WhichAndWhy) -> Switched:
    """The same, with the reason for whoever asks later."""
    return _switch(tx, body, disabled=True, reason=body.disabled_reason.strip())


@route(
    "services.freeze",
    "PUT /os-services/freeze",
    hop=WRITE,
    policy=(UPDATE, "volume:freeze_host"),
    body=Body(None, Backend),
)
def freeze(call: Call, tx: Tx, body: Backend) -> None:
    """Nothing is placed on a backend until it is thawed."""
    _set_frozen(tx, body, frozen=True)


@route(
    "services.thaw",
    "PUT /os-services/thaw",
    hop=WRITE,
    policy=(UPDATE, "volume:thaw_host"),
    body=Body(None, Backend),
)
def thaw(call: Call, tx: Tx, body: Backend) -> None:
    """The end of a freeze."""
    _set_frozen(tx, body, frozen=False)


def _switch(tx: Tx, which: Which, *, disabled: bool, reason: str | None = None) -> Switched:
    binary = which.binary or which.service
    if not binary:
        raise BadRequest("The body needs the key 'binary'", needed="binary (or service)")
    row = find(tx, which.host, binary)
    if row is None:
        raise NotFound(f"Service {binary[:60]} on host {which.host[:60]} could not be found")
    services.switch(tx, row, disabled=disabled, reason=reason)
    return Switched(
        which.host,
        binary,
        binary,
        "disabled" if disabled else "enabled",
        disabled,
        UNSET if reason is None else reason,
    )


def _set_frozen(tx: Tx, which: Backend, *, frozen: bool) -> None:
    if which.cluster or not which.host:
        raise BadRequest(
            "Name the host of a backend: there are no clusters",
            needed="host",
            had="cluster" if which.cluster else "none",
        )
    row = find(tx, which.host, VOLUME)
    backend = None if row is None or row.backend_id is None else pools.backend(tx, row.backend_id)
    if backend is None:
        raise BadRequest(f"Unknown backend {which.host[:60]}", needed="host@backend of a volume service")
    if backend.frozen == frozen:
        raise BadRequest(f"Backend {which.host[:60]} is {'already' if frozen else 'not'} frozen")
    pools.write_backend(tx, backend.id, frozen=frozen)


def find(tx: Tx, host: str, binary: str) -> ServiceRow | None:
    return next((row for row in services.page(tx) if (row.host, row.binary) == (host, binary)), None)


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

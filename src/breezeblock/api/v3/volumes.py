# SPDX-License-Identifier: Apache-2.0
"""Volumes: list, show, create, update, delete. Each handler translates a request into one store read or one verb of operations, and what
comes back into a view. Must never decide what a status allows."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api import paging
from breezeblock.api.body import Body, since
from breezeblock.api.call import Call
from breezeblock.api.fields import GiBSize, Metadata, Name0, SomeId, Text255, Zone, first_given, gib
from breezeblock.api.filters import VOLUME
from breezeblock.api.route import WRITE, Query, route
from breezeblock.api.truth import Truth, query_truth
from breezeblock.api.v3.source import check_hints, check_zone, refuse_unsupported
from breezeblock.api.views import volume as view
from breezeblock.model.errors import BadRequest, WrongStatus
from breezeblock.operations.volume.create import CreateVolume, create
from breezeblock.operations.volume.delete import delete
from breezeblock.store import volumes
from breezeblock.store.transaction import Tx

HINTS = "OS-SCH-HNT:scheduler_hints"
#: From here on unknown keys of a create are refused; an update needs a known one.
STRICT = 53


class VolumeRequest(msgspec.Struct):
    """The body of a create. `image_id` is another name of imageRef, `display_*` of the plain ones."""

    name: str | UnsetType | None = UNSET
    description: Annotated[str, msgspec.Meta(max_length=255)] | UnsetType | None = UNSET
    display_name: str | UnsetType | None = UNSET
    display_description: Annotated[str, msgspec.Meta(max_length=255)] | UnsetType | None = UNSET
    size: GiBSize | None = None
    volume_type: Name0 = None
    metadata: Metadata | None = None
    snapshot_id: SomeId | None = None
    source_volid: SomeId | None = None
    consistencygroup_id: SomeId | None = None
    availability_zone: Zone = None
    multiattach: Truth | None = None
    image_id: Text255 | None = None
    image_ref: Text255 | None = msgspec.field(name="imageRef", default=None)
    group_id: Annotated[Text255 | None, since(13)] = None
    backup_id: Annotated[SomeId | None, since(47)] = None

    def __post_init__(self) -> None:
        self.name, self.display_name = (
            _stripped("name", self.name),
            _stripped("display_name", self.display_name),
        )


class UpdateRequest(msgspec.Struct):
    name: str | UnsetType | None = UNSET
    description: Annotated[str, msgspec.Meta(max_length=255)] | UnsetType | None = UNSET
    display_name: str | UnsetType | None = UNSET
    display_description: Annotated[str, msgspec.Meta(max_length=255)] | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        self.name, self.display_name = (
            _stripped("name", self.name),
            _stripped("display_name", self.display_name),
        )


def _stripped(key: str, value: str | UnsetType | None) -> str | UnsetType | None:
    if isinstance(value, str):
        value = value.strip()
        if len(value) > 255:
            raise ValueError(f"{key} is longer than 255 characters")
    return value


LIST = paging.parameters(VOLUME)


@route("volumes.list", "GET /volumes", policy="volume:get_all", query=LIST)
def index(call: Call, tx: Tx) -> view.VolumeList:
    """List volumes, in short."""
    query = paging.read(call, VOLUME)
    hidden = not call.caller.is_admin
    found, more, count = paging.page(
        call,
        query,
        "volumes",
        lambda q: volumes.page(tx, q, hide_migration_targets=hidden),
        lambda q: volumes.count(tx, q, hide_migration_targets=hidden),
    )
    return view.VolumeList(view.summaries(call, found), more, count)


@route("volumes.detail", "GET /volumes/detail", policy="volume:get_all", query=LIST)
def detail(call: Call, tx: Tx) -> view.VolumeDetailList:
    """List volumes with every field."""
    query = paging.read(call, VOLUME, with_attachments=True)
    hidden = not call.caller.is_admin
    found, more, count = paging.page(
        call,
        query,
        "volumes/detail",
        lambda q: volumes.page(tx, q, hide_migration_targets=hidden),
        lambda q: volumes.count(tx, q, hide_migration_targets=hidden),
    )
    return view.VolumeDetailList(view.page(call, found), more, count)


@route(
    "volumes.summary", "GET /volumes/summary", policy="volume:get_all", min=12, query=(paging.ALL_TENANTS,)
)
def summary(call: Call, tx: Tx) -> view.VolumeTotals:
    """How many volumes, how many GiB."""
    everybody = call.caller.is_admin and query_truth(call.query, "all_tenants")
    number, size, metadata = volumes.summary(tx, None if everybody else call.caller.project_id)
    return view.VolumeTotals(view.Totals(number, size, metadata if call.version >= 36 else UNSET))


@route("volumes.show", "GET /volumes/{volume_id}", policy="volume:get", hides=True)
def show(call: Call, tx: Tx, volume_id: str) -> view.OneVolume:
    """Show a volume."""
    return view.one(call, volumes.get(tx, volume_id, call.scope))


@route(
    "volumes.create",
    "POST /volumes",
    hop=WRITE,
    status=202,
    policy="volume:create",
    body=Body("volume", VolumeRequest, beside={HINTS: dict[str, Any] | None}, strict_from=STRICT),
    errors=(413,),
)
def submit(call: Call, tx: Tx, body: VolumeRequest) -> view.OneVolume:
    """Create a volume: empty, from a snapshot, or as a clone of a volume."""
    name, description = (
        first_given(body.name, body.display_name),
        first_given(body.description, body.display_description),
    )
    refuse_unsupported(body)
    zone = check_zone(tx, body.availability_zone)
    wanted = CreateVolume(
        size=None if body.size is None else gib(body.size),
        name=None if name is UNSET else name,
        description=None if description is UNSET else description,
        volume_type=body.volume_type or None,
        metadata=body.metadata or {},
        snapshot_id=body.snapshot_id or None,
        source_volid=body.source_volid or None,
        availability_zone=zone,
        hints=check_hints(HINTS, call.beside.get(HINTS)),
    )
    made, call.operation_id = create(tx, call.caller, wanted)
    return view.one(call, made, extended=False)


@route(
    "volumes.update",
    "PUT /volumes/{volume_id}",
    hop=WRITE,
    policy="volume:update",
    body=Body("volume", UpdateRequest, strict_from=STRICT),
)
def update(call: Call, tx: Tx, volume_id: str, body: UpdateRequest) -> view.OneVolume:
    """Change name, description or (all of) the metadata."""
    name, description = (
        first_given(body.name, body.display_name),
        first_given(body.description, body.display_description),
    )
    if call.version >= STRICT and name is UNSET and description is UNSET and body.metadata is UNSET:
        raise BadRequest("The update changes nothing", needed="at least one of name, description, metadata")
    volume = volumes.lock(tx, volume_id, call.scope)
    if volume.status == "maintenance":
        raise WrongStatus(f"Invalid volume: volume {volume.id} is in maintenance", had="status maintenance")
    changes = {
        key: value for key, value in (("name", name), ("description", description)) if value is not UNSET
    }
    if changes:
        volumes.write(tx, volume.id, **changes)
    if body.metadata is not UNSET and body.metadata is not None:
        volumes.set_metadata(tx, volume.id, "metadata", body.metadata, replace=True)
    return view.one(call, volumes.get(tx, volume.id), extended=False)


@route(
    "volumes.delete",
    "DELETE /volumes/{volume_id}",
    hop=WRITE,
    status=202,
    policy="volume:delete",
    query=(
        Query(name="cascade", schema={"type": "boolean"}, description="With its snapshots."),
        Query(
            name="force",
            schema={"type": "boolean"},
            description="From 3.23; administrators: whatever the status.",
        ),
    ),
)
def remove(call: Call, tx: Tx, volume_id: str) -> None:
    """Delete a volume."""
    cascade = query_truth(call.query, "cascade")
    force = call.version >= 23 and query_truth(call.query, "force")
    if force:
        call.require("volume:force_delete")
    call.operation_id = delete(tx, call.caller, volume_id, cascade=cascade, force=force)

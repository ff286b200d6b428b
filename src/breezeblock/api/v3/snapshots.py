# SPDX-License-Identifier: Apache-2.0
"""Snapshots: list, show, create, update, delete."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api import paging
from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Metadata, SomeId, Text255, first_given, printable
from breezeblock.api.filters import SNAPSHOT
from breezeblock.api.route import WRITE, route
from breezeblock.api.truth import Truth, truth
from breezeblock.api.views import snapshot as view
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.operations.snapshot.create import CreateSnapshot, create
from breezeblock.operations.snapshot.delete import delete
from breezeblock.store import snapshots
from breezeblock.store.transaction import Tx

#: From here on a volume in use needs no force, and force may not be false.
IN_USE = 66

Text0 = Text255 | UnsetType | None


class SnapshotRequest(msgspec.Struct):
    """The body of a create."""

    volume_id: SomeId | None
    name: Text0 = UNSET
    display_name: Text0 = UNSET
    description: Text0 = UNSET
    force: Truth | UnsetType = UNSET
    metadata: Metadata | None = None

    def __post_init__(self) -> None:
        printable("description", self.description)


class UpdateRequest(msgspec.Struct):
    name: Text0 = UNSET
    display_name: Text0 = UNSET
    description: Text0 = UNSET
    display_description: Text0 = UNSET

    def __post_init__(self) -> None:
        printable("description", self.description)


LIST = paging.parameters(SNAPSHOT)


@route("snapshots.list", "GET /snapshots", policy="volume:get_all_snapshots", query=LIST)
def index(call: Call, tx: Tx) -> view.SnapshotList:
    """List snapshots, in short."""
    query = paging.read(call, SNAPSHOT)
    found, more, count = paging.page(
        call, query, "snapshots", lambda q: snapshots.page(tx, q), lambda q: snapshots.count(tx, q)
    )
    return view.SnapshotList(view.summaries(found), more, count)


@route("snapshots.detail", "GET /snapshots/detail", policy="volume:get_all_snapshots", query=LIST)
def detail(call: Call, tx: Tx) -> view.SnapshotList:
    """List snapshots with every field."""
    query = paging.read(call, SNAPSHOT)
    found, more, count = paging.page(
        call, query, "snapshots/detail", lambda q: snapshots.page(tx, q), lambda q: snapshots.count(tx, q)
    )
    return view.SnapshotList(view.details(call, found), more, count)


@route("snapshots.show", "GET /snapshots/{snapshot_id}", policy="volume:get_snapshot")
def show(call: Call, tx: Tx, snapshot_id: str) -> view.OneSnapshot:
    """Show a snapshot."""
    return view.one(call, snapshots.get(tx, snapshot_id, call.scope))


@route(
    "snapshots.create",
    "POST /snapshots",
    hop=WRITE,
    status=202,
    policy="volume:create_snapshot",
    body=Body("snapshot", SnapshotRequest),
    errors=(413,),
)
def submit(call: Call, tx: Tx, body: SnapshotRequest) -> view.OneSnapshot:
    """Take a snapshot of a volume."""
    force = False if body.force is UNSET else bool(truth(body.force))
    if call.version >= IN_USE:
        if body.force is not UNSET and not force:
            raise BadRequest(
                "Invalid value for force: false is not accepted from 3.66 on",
                needed="true, or no force",
                had="false",
            )
        force = True
    if body.volume_id is None:
        raise NotFound("Volume null could not be found")
    name = first_given(body.name, body.display_name)
    made, call.operation_id = create(
        tx,
        call.caller,
        CreateSnapshot(
            volume_id=body.volume_id,
            name=None if name is UNSET else name,
            description=None if body.description is UNSET else body.description,
            metadata=body.metadata or {},
            in_use_allowed=force,
        ),
    )
    return view.one(call, made, extended=False)


@route(
    "snapshots.update",
    "PUT /snapshots/{snapshot_id}",
    hop=WRITE,
    policy="volume:update_snapshot",
    body=Body("snapshot", UpdateRequest),
)
def update(call: Call, tx: Tx, snapshot_id: str, body: UpdateRequest) -> view.OneSnapshot:
    """Change name or description."""
    name, description = (
        first_given(body.name, body.display_name),
        first_given(body.description, body.display_description),
    )
    changes = {
        key: value for key, value in (("name", name), ("description", description)) if value is not UNSET
    }
    if not changes:
        raise BadRequest("The update changes nothing", needed="at least one of name, description")
    snapshot = snapshots.get(tx, snapshot_id, call.scope)
    snapshots.write(tx, snapshot.id, **changes)
    return view.one(call, snapshots.get(tx, snapshot.id), extended=False)


@route(
    "snapshots.delete",
    "DELETE /snapshots/{snapshot_id}",
    hop=WRITE,
    status=202,
    policy="volume:delete_snapshot",
)
def remove(call: Call, tx: Tx, snapshot_id: str) -> None:
    """Delete a snapshot."""
    call.operation_id = delete(tx, call.caller, snapshot_id)

# SPDX-License-Identifier: Apache-2.0
"""Attachments (3.27): list, show, create, give a connector, complete, delete. Calls that need the storage host wait for their operation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from breezeblock.api import outcome, paging
from breezeblock.api.body import Body, since
from breezeblock.api.call import Call
from breezeblock.api.fields import SomeId, check_connector, same_uuid, uuid_text
from breezeblock.api.filters import ATTACHMENT
from breezeblock.api.route import ASYNC, WRITE, route
from breezeblock.api.views import attachment as view
from breezeblock.model.errors import NotFound
from breezeblock.operations.attachment.complete import complete
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.create import create
from breezeblock.operations.attachment.delete import delete
from breezeblock.store import attachments, volumes
from breezeblock.store.transaction import Tx

SINCE = 27
COMPLETE = 44


class AttachmentRequest(msgspec.Struct):
    """The body of a create."""

    volume_uuid: SomeId
    instance_uuid: str | None = None
    connector: dict[str, Any] | None = None
    mode: Annotated[Literal["rw", "ro"] | None, since(54)] = None

    def __post_init__(self) -> None:
        uuid_text("instance_uuid", self.instance_uuid)
        check_connector("connector", self.connector)


class UpdateRequest(msgspec.Struct):
    connector: Annotated[dict[str, Any], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        check_connector("connector", self.connector)


LIST = paging.parameters(ATTACHMENT)


@route("attachments.list", "GET /attachments", min=SINCE, query=LIST)
def index(call: Call, tx: Tx) -> view.AttachmentList:
    """List attachments, in short."""
    query = paging.read(call, ATTACHMENT)
    found, more, _ = paging.page(call, query, "attachments", lambda q: attachments.page(tx, q))
    return view.AttachmentList(view.summaries(found), more)


@route("attachments.detail", "GET /attachments/detail", min=SINCE, query=LIST)
def detail(call: Call, tx: Tx) -> view.AttachmentDetailList:
    """List attachments with every field."""
    query = paging.read(call, ATTACHMENT)
    found, more, _ = paging.page(call, query, "attachments/detail", lambda q: attachments.page(tx, q))
    return view.AttachmentDetailList([view.detail(one) for one in found], more)


@route("attachments.show", "GET /attachments/{attachment_id}", min=SINCE)
def show(call: Call, tx: Tx, attachment_id: str) -> view.OneAttachment:
    """Show an attachment."""
    return _shown(call, tx, attachment_id)


def _shown(call: Call, tx: Tx, attachment_id: str) -> view.OneAttachment:
    found = attachments.get(tx, attachment_id, call.scope)
    volume = volumes.find(tx, found.volume_id)
    return view.one(found, format=None if volume is None else volume.admin_metadata.get("format"))


@route(
    "attachments.create",
    "POST /attachments",
    hop=ASYNC,
    min=SINCE,
    policy="volume:attachment_create",
    body=Body("attachment", AttachmentRequest),
    errors=(500, 504),
)
async def submit(call: Call, body: AttachmentRequest) -> view.OneAttachment:
    """Reserve a volume for a consumer and, with a connector, connect it."""

    def begin(tx: Tx) -> tuple[str, str | None]:
        made = create(
            tx,
            call.caller,
            body.volume_uuid,
            instance_uuid=None if body.instance_uuid is None else same_uuid(body.instance_uuid),
            mode=body.mode,
        )
        return made.id, connect(tx, call.caller, made.id, body.connector) if body.connector else None

    store = call.services.store
    attachment_id, operation = await store.write(begin)
    await outcome.wait(call, operation)
    return await store.read(lambda tx: _shown(call, tx, attachment_id))


@route(
    "attachments.update",
    "PUT /attachments/{attachment_id}",
    hop=ASYNC,
    min=SINCE,
    policy="volume:attachment_update",
    body=Body("attachment", UpdateRequest),
    errors=(409, 500, 504),
)
async def update(call: Call, attachment_id: str, body: UpdateRequest) -> view.OneAttachment:
    """Connect an attachment to a connector's host; waits for the connection."""
    store = call.services.store
    await outcome.wait(
        call, await store.write(lambda tx: connect(tx, call.caller, attachment_id, body.connector))
    )
    return await store.read(lambda tx: _shown(call, tx, attachment_id))


@route(
    "attachments.delete",
    "DELETE /attachments/{attachment_id}",
    hop=ASYNC,
    min=SINCE,
    policy="volume:attachment_delete",
    errors=(409, 500, 504),
)
async def remove(call: Call, attachment_id: str) -> view.AttachmentList:
    """End an attachment; answers what remains on the volume."""
    store = call.services.store

    def begin(tx: Tx) -> tuple[str, str | None]:
        found = attachments.find(tx, attachment_id, call.scope)
        if found is None:
            raise NotFound(f"Volume attachment {attachment_id} could not be found")
        return found.volume_id, delete(tx, call.caller, attachment_id)

    volume_id, operation = await store.write(begin)
    await outcome.wait(call, operation)
    return view.AttachmentList(
        view.summaries(await store.read(lambda tx: attachments.of_volume(tx, volume_id)))
    )


@route(
    "attachments.action.os-complete",
    "POST /attachments/{attachment_id}/action",
    action="os-complete",
    hop=WRITE,
    status=204,
    min=COMPLETE,
    policy="volume:attachment_complete",
)
def mark_complete(call: Call, tx: Tx, attachment_id: str) -> None:
    """The consumer uses the volume now."""
    complete(tx, call.caller, attachment_id)

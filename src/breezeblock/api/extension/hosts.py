# SPDX-License-Identifier: Apache-2.0
"""Attach a volume to a host whose agent runs, detach it, and see what device it became."""

from __future__ import annotations

from typing import Literal

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Text255
from breezeblock.api.route import READ, WRITE, route
from breezeblock.api.views import operation as operation_view
from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.operations.host.attach import attach
from breezeblock.operations.host.detach import detach
from breezeblock.store import attachments, history
from breezeblock.store.transaction import Tx


class AttachRequest(msgspec.Struct):
    volume_id: Text255
    mode: Literal["rw", "ro"] = "rw"
    #: null: the host of this service.
    host: Text255 | None = None


class DetachRequest(msgspec.Struct):
    volume_id: Text255 | None = None
    attachment_id: Text255 | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if (self.volume_id is None) == (self.attachment_id is None):
            raise ValueError("exactly one of volume_id and attachment_id is needed")


class HostAttachment(msgspec.Struct, frozen=True):
    """`device` is a path on `host`, null until there is one; `uri` is there where no device could be made."""

    id: str
    volume_id: str
    status: str
    device: str | None
    how: str | None
    host: str | None
    mode: str
    uri: str | None


class OneHostAttachment(msgspec.Struct, frozen=True):
    attachment: HostAttachment


class Attached(msgspec.Struct, frozen=True):
    attachment: HostAttachment
    operation: operation_view.OperationShown


@route(
    "breezeblock.attach",
    "POST /breezeblock/attach",
    hop=WRITE,
    status=202,
    policy="breezeblock:attach",
    body=Body(None, AttachRequest),
)
def submit(call: Call, tx: Tx, body: AttachRequest) -> Attached:
    """Attach a volume to a host as a device."""
    here = call.services.facts.host if call.services.facts.agent else None
    host = body.host or here
    if not host:
        raise BadRequest(
            "No agent runs on this service's host", needed="a host", remedy="Name the host of an agent."
        )
    made, call.operation_id = attach(tx, call.caller, body.volume_id, host=host, here=here, mode=body.mode)
    return Attached(_shown(made), _operation(call, tx, call.operation_id))


@route(
    "breezeblock.detach",
    "POST /breezeblock/detach",
    hop=WRITE,
    status=202,
    policy="breezeblock:attach",
    body=Body(None, DetachRequest),
    errors=(409,),
)
def remove(call: Call, tx: Tx, body: DetachRequest) -> operation_view.OneOperation:
    """Detach a volume from the host that it is a device of."""
    operation = detach(
        tx, call.caller, volume_id=body.volume_id, attachment_id=body.attachment_id, force=body.force
    )
    call.operation_id = operation
    return operation_view.OneOperation(_operation(call, tx, operation))


@route(
    "breezeblock.attachments.show",
    "GET /breezeblock/attachments/{attachment_id}",
    hop=READ,
    policy="breezeblock:operations",
)
def show(call: Call, tx: Tx, attachment_id: str) -> OneHostAttachment:
    """An attachment with its device."""
    found = attachments.find(tx, attachment_id, call.scope)
    if found is None:
        raise NotFound(f"Attachment {attachment_id} could not be found")
    return OneHostAttachment(_shown(found))


def _operation(call: Call, tx: Tx, operation_id: str) -> operation_view.OperationShown:
    return operation_view.shown(call, history.get(tx, operation_id, None))


def _shown(a: Attachment) -> HostAttachment:
    device = a.device
    uri = device.get("kind") == "uri"
    path = device.get("path")
    return HostAttachment(
        a.id,
        a.volume_id,
        a.attach_status,
        None if uri else path,
        device.get("how"),
        a.agent_host or a.attached_host,
        a.attach_mode,
        path if uri else None,
    )

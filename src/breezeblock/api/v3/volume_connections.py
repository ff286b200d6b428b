# SPDX-License-Identifier: Apache-2.0
"""The older way to attach, by actions on the volume, told in terms of attachments so that there is one way inside:

    os-initialize_connection   an attachment for the connector's host is made (or found) and connected; its connection is the answer
    os-attach                  that attachment (or a new one, for who needs no connection) becomes attached
    os-terminate_connection    a connected attachment that never became attached ends; one that did waits for os-detach
    os-detach                  the attachment ends

Must never hold state of its own: what the four share is the attachment's row."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api import outcome
from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Text255, check_connector, same_uuid, uuid_text
from breezeblock.api.route import ASYNC, WRITE, route
from breezeblock.api.v3.volume_actions import ACTION, RULE
from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import BadRequest, WrongStatus
from breezeblock.model.volume import Volume
from breezeblock.operations.attachment.complete import mark_attached
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.create import resolve_mode
from breezeblock.operations.attachment.delete import delete as delete_attachment
from breezeblock.operations.volume import edit
from breezeblock.store import attachments, volumes
from breezeblock.store.transaction import Tx


class Attach(msgspec.Struct):
    mountpoint: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    instance_uuid: str | UnsetType = UNSET
    host_name: Text255 | UnsetType = UNSET
    mode: Literal["ro", "rw"] = "rw"

    def __post_init__(self) -> None:
        uuid_text("instance_uuid", self.instance_uuid)
        if self.instance_uuid is UNSET and self.host_name is UNSET:
            raise ValueError("instance_uuid or host_name is needed")


class Detach(msgspec.Struct):
    attachment_id: Text255 | None = None

    def __post_init__(self) -> None:
        uuid_text("attachment_id", self.attachment_id)


class Connection(msgspec.Struct):
    connector: dict[str, Any] | Text255

    def __post_init__(self) -> None:
        check_connector("connector", self.connector)


class Disconnection(msgspec.Struct):
    connector: dict[str, Any] | Text255 | None


class ConnectionAnswer(msgspec.Struct, frozen=True):
    connection_info: dict[str, Any]


@route(
    "volumes.action.os-initialize_connection",
    ACTION,
    action="os-initialize_connection",
    hop=ASYNC,
    policy=RULE + "initialize_connection",
    body=Connection,
    errors=(500, 504),
)
async def initialize_connection(call: Call, volume_id: str, body: Connection) -> ConnectionAnswer:
    """Export a volume to a connector's host and say how it is reached."""
    connector = _connector(body.connector)
    if not connector:
        raise BadRequest(
            "Invalid input received: the connector is empty", needed="an object that names at least its host"
        )
    store = call.services.store
    attachment_id, operation = await store.write(lambda tx: _begin(call, tx, volume_id, connector))
    await outcome.wait(call, operation)
    info = (await store.read(lambda tx: attachments.get(tx, attachment_id))).connection_info
    kind = str(info.pop("driver_volume_type", ""))
    info.pop("attachment_id", None)
    multipath = bool(connector.get("enforce_multipath", False))
    return ConnectionAnswer({"driver_volume_type": kind, "data": info, "enforce_multipath": multipath})


def _begin(call: Call, tx: Tx, volume_id: str, connector: dict[str, Any]) -> tuple[str, str | None]:
    """The attachment of this host, and the operation to wait for (None: it is connected)."""
    volume = _usable(call, tx, volume_id)
    host = connector.get("host")
    mine = [
        a
        for a in attachments.of_volume(tx, volume.id)
        if a.agent_host is None and (not a.connection_json or a.connector.get("host") == host)
    ]
    for attachment in mine:
        if attachment.connection_json:
            return attachment.id, None
    if mine:
        return mine[0].id, connect(tx, call.caller, mine[0].id, connector)
    id = str(uuid.uuid4())
    attachments.create(
        tx,
        {
            "id": id,
            "volume_id": volume.id,
            "project_id": volume.project_id,
            "attach_mode": resolve_mode(volume, None),
        },
    )
    return id, connect(tx, call.caller, id, connector)


@route(
    "volumes.action.os-attach",
    ACTION,
    action="os-attach",
    hop=WRITE,
    status=202,
    policy=RULE + "attach",
    body=Attach,
)
def attach(call: Call, tx: Tx, volume_id: str, body: Attach) -> None:
    """Record that an instance or a host uses the volume."""
    volume = _usable(call, tx, volume_id)
    readonly = volume.admin_metadata.get("readonly", "False").lower() == "true"
    if readonly and body.mode == "rw":
        raise WrongStatus(f"Invalid volume: volume {volume.id} is read-only", needed="mode ro", had="mode rw")
    instance = None if body.instance_uuid is UNSET else same_uuid(body.instance_uuid)
    host = None if body.host_name is UNSET else body.host_name
    rows = attachments.of_volume(tx, volume.id)
    same = [
        a
        for a in rows
        if a.attach_status == "attached" and (a.instance_uuid, a.attached_host) == (instance, host)
    ]
    if same:
        return
    if volume.status not in ("available", "attaching") and not (
        volume.multiattach and volume.status == "in-use"
    ):
        raise WrongStatus(
            f"Invalid volume: volume {volume.id} status must be available or attaching",
            needed="status available or attaching",
            had=f"status {volume.status}",
        )
    waiting = [a for a in rows if a.attach_status in ("reserved", "attaching") and a.agent_host is None]
    id = waiting[0].id if waiting else str(uuid.uuid4())
    facts = {
        "instance_uuid": instance,
        "attached_host": host if host is not None else (waiting[0].attached_host if waiting else None),
        "mountpoint": body.mountpoint,
        "attach_mode": body.mode,
        "attach_time": tx.now,
    }
    if waiting:
        attachments.write(tx, id, **facts)
    else:
        attachments.create(tx, {"id": id, "volume_id": volume.id, "project_id": volume.project_id, **facts})
    mark_attached(tx, id, volume.id)
    volumes.set_metadata(
        tx, volume.id, "admin_metadata", {"readonly": str(readonly), "attached_mode": body.mode}
    )


@route(
    "volumes.action.os-terminate_connection",
    ACTION,
    action="os-terminate_connection",
    hop=ASYNC,
    status=202,
    policy=RULE + "terminate_connection",
    body=Disconnection,
    errors=(409, 500, 504),
)
async def terminate_connection(call: Call, volume_id: str, body: Disconnection) -> None:
    """Take a connection back that no attachment uses; also ends a reservation."""
    host = _connector(body.connector).get("host")

    def begin(tx: Tx) -> str | None:
        volume = volumes.lock(tx, volume_id, call.scope)
        ended = None
        for attachment in attachments.of_volume(tx, volume.id):
            idle = (
                attachment.attach_status in ("reserved", "attaching", "error_attaching")
                and attachment.agent_host is None
            )
            if idle and attachment.connection_json and host in (None, attachment.connector.get("host")):
                ended = delete_attachment(tx, call.caller, attachment.id)
        if ended is None:
            edit.unreserve(tx, call.caller, volume.id)
        return ended

    await outcome.wait(call, await call.services.store.write(begin))


@route(
    "volumes.action.os-detach",
    ACTION,
    action="os-detach",
    hop=ASYNC,
    status=202,
    policy=RULE + "detach",
    body=Body("os-detach", Detach, nullable=True),
    errors=(409, 504),
)
async def detach(call: Call, volume_id: str, body: Detach) -> None:
    """End an attachment."""

    def begin(tx: Tx) -> str | None:
        volume = _usable(call, tx, volume_id)
        attachment = ended_attachment(tx, volume, body.attachment_id)
        if attachment is None:
            volumes.settle(tx, volume.id, volumes.by_attachments(tx, volume.id), attach_status="detached")
            return None
        if len(attachments.of_volume(tx, volume.id)) == 1:
            volumes.set_metadata(tx, volume.id, "admin_metadata", {"attached_mode": None})
        return delete_attachment(tx, call.caller, attachment.id)

    await outcome.wait(call, await call.services.store.write(begin))


def ended_attachment(tx: Tx, volume: Volume, attachment_id: str | None) -> Attachment | None:
    """Which attachment a detach means; None: the volume has none."""
    rows = attachments.of_volume(tx, volume.id)
    if attachment_id:
        found = next((a for a in rows if a.id == same_uuid(attachment_id)), None)
        if found is None:
            raise BadRequest(
                f"Invalid volume: volume {volume.id} has no attachment {attachment_id}",
                needed="one of its attachments",
                had=", ".join(a.id for a in rows) or "none",
            )
        return found
    if len(rows) > 1:
        raise BadRequest(
            f"Invalid volume: volume {volume.id} has several attachments",
            needed="attachment_id",
            had=", ".join(a.id for a in rows),
        )
    return rows[0] if rows else None


def _usable(call: Call, tx: Tx, volume_id: str) -> Volume:
    volume = volumes.lock(tx, volume_id, call.scope)
    if volume.status == "maintenance":
        raise WrongStatus(f"Invalid volume: volume {volume.id} is in maintenance", had="status maintenance")
    return volume


def _connector(value: dict[str, Any] | str | None) -> dict[str, Any]:
    """A connector given as text is JSON, or names the host."""
    if isinstance(value, str):
        try:
            found = msgspec.json.decode(value)
        except msgspec.MsgspecError:
            found = None
        return found if isinstance(found, dict) else {"host": value} if value else {}
    return value or {}

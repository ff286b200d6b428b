# SPDX-License-Identifier: Apache-2.0
"""The older way to attach, by actions on the volume: bodies, connectors given as text, answers, and waiting for the operation. What the
actions mean is operations.attachment.legacy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api import outcome
from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Text255, check_connector, same_uuid, uuid_text
from breezeblock.api.route import ASYNC, WRITE, route
from breezeblock.api.v3.volume_actions import ACTION, RULE
from breezeblock.operations.attachment import legacy
from breezeblock.store import attachments
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
    errors=(409, 500, 504),
)
async def initialize_connection(call: Call, volume_id: str, body: Connection) -> ConnectionAnswer:
    """Export a volume to a connector's host and say how it is reached."""
    connector, store = _connector(body.connector), call.services.store
    attachment_id, operation = await store.write(
        lambda tx: legacy.initialize(tx, call.caller, volume_id, connector)
    )
    await outcome.wait(call, operation)
    info = (await store.read(lambda tx: attachments.get(tx, attachment_id))).connection_info
    kind = str(info.pop("driver_volume_type", ""))
    info.pop("attachment_id", None)
    multipath = bool(connector.get("enforce_multipath", False))
    return ConnectionAnswer({"driver_volume_type": kind, "data": info, "enforce_multipath": multipath})


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
    legacy.attach(
        tx,
        call.caller,
        volume_id,
        mountpoint=body.mountpoint,
        mode=body.mode,
        instance_uuid=None if body.instance_uuid is UNSET else same_uuid(body.instance_uuid),
        host=None if body.host_name is UNSET else body.host_name,
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
    operation = await call.services.store.write(lambda tx: legacy.terminate(tx, call.caller, volume_id, host))
    await outcome.wait(call, operation)


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
    wanted = same_uuid(body.attachment_id) if body.attachment_id else None
    operation = await call.services.store.write(lambda tx: legacy.detach(tx, call.caller, volume_id, wanted))
    await outcome.wait(call, operation)


def _connector(value: dict[str, Any] | str | None) -> dict[str, Any]:
    """A connector given as text is JSON, or names the host."""
    if isinstance(value, str):
        try:
            found = msgspec.json.decode(value)
        except msgspec.MsgspecError:
            found = None
        return found if isinstance(found, dict) else {"host": value} if value else {}
    return value or {}

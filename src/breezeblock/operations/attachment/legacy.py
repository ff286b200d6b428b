# SPDX-License-Identifier: Apache-2.0
"""The older way to attach, by verbs of the volume, told in terms of attachments so that there is one way inside:

    initialize    an attachment for the connector's host is made (or found) and connected; its connection is the answer
    attach        that attachment (or a new one, for who needs no connection) becomes attached
    terminate     a connected attachment that never became attached ends; one that did waits for detach
    detach        the attachment ends

Must never hold state of its own: what the four share is the attachment's row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import BadRequest, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.model.volume import Volume
from breezeblock.operations.attachment.complete import mark_attached
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.create import is_readonly, refuse_writing, resolve_mode
from breezeblock.operations.attachment.delete import delete
from breezeblock.operations.submit import new_id
from breezeblock.operations.volume.edit import unreserve
from breezeblock.store import attachments, volumes
from breezeblock.store.transaction import Tx

#: What no consumer uses yet.
_IDLE = ("reserved", "attaching", "error_attaching")


def initialize(
    tx: Tx, caller: Caller, volume_id: str, connector: Mapping[str, Any]
) -> tuple[str, str | None]:
    """The attachment of the connector's host, and the operation to wait for (None: it is connected). Raises NotFound, BadRequest
    (connector), WrongStatus, Conflict."""
    if not connector:
        raise BadRequest(
            "Invalid input received: the connector is empty", needed="an object that names at least its host"
        )
    volume = _usable(tx, caller, volume_id)
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
        return mine[0].id, connect(tx, caller, mine[0].id, connector)
    id = new_id()
    attachments.create(
        tx,
        {
            "id": id,
            "volume_id": volume.id,
            "project_id": volume.project_id,
            "attach_mode": resolve_mode(volume, None),
        },
    )
    return id, connect(tx, caller, id, connector)


def attach(
    tx: Tx,
    caller: Caller,
    volume_id: str,
    *,
    mountpoint: str,
    mode: str,
    instance_uuid: str | None = None,
    host: str | None = None,
) -> str:
    """The attachment: an instance or a host uses the volume. Raises NotFound, WrongStatus (also rw on a readonly volume)."""
    volume = _usable(tx, caller, volume_id)
    refuse_writing(volume, mode)
    rows = attachments.of_volume(tx, volume.id)
    same = [
        a
        for a in rows
        if a.attach_status == "attached" and (a.instance_uuid, a.attached_host) == (instance_uuid, host)
    ]
    if same:
        return same[0].id
    if volume.status not in ("available", "attaching") and not (
        volume.multiattach and volume.status == "in-use"
    ):
        raise WrongStatus(
            f"Invalid volume: volume {volume.id} status must be available or attaching",
            needed="status available or attaching",
            had=f"status {volume.status}",
        )
    waiting = [a for a in rows if a.attach_status in ("reserved", "attaching") and a.agent_host is None]
    id = waiting[0].id if waiting else new_id()
    facts = {
        "instance_uuid": instance_uuid,
        "attached_host": host if host is not None else (waiting[0].attached_host if waiting else None),
        "mountpoint": mountpoint,
        "attach_mode": mode,
        "attach_time": tx.now,
    }
    if waiting:
        attachments.write(tx, id, **facts)
    else:
        attachments.create(tx, {"id": id, "volume_id": volume.id, "project_id": volume.project_id, **facts})
    mark_attached(tx, id, volume.id)
    readonly = str(is_readonly(volume))
    volumes.set_metadata(tx, volume.id, "admin_metadata", {"readonly": readonly, "attached_mode": mode})
    return id


def terminate(tx: Tx, caller: Caller, volume_id: str, host: str | None) -> str | None:
    """The operation that takes a host's connection back (None host: whoever has it) when no consumer uses it; None: there was no such
    connection, only a reservation, which ends."""
    volume = volumes.lock(tx, volume_id, _mine(caller))
    ended = None
    for attachment in attachments.of_volume(tx, volume.id):
        idle = attachment.attach_status in _IDLE and attachment.agent_host is None
        if idle and attachment.connection_json and host in (None, attachment.connector.get("host")):
            ended = delete(tx, caller, attachment.id)
    if ended is None:
        unreserve(tx, caller, volume.id)
    return ended


def detach(tx: Tx, caller: Caller, volume_id: str, attachment_id: str | None) -> str | None:
    """The operation that ends an attachment (None id: the only one); None when that needs none. Raises NotFound, BadRequest,
    WrongStatus."""
    volume = _usable(tx, caller, volume_id)
    attachment = _meant(tx, volume, attachment_id)
    if attachment is None:
        # any other status rests, or an operation holds it and says itself how it ends
        volumes.begin(tx, volume.id, "detach", values={"attach_status": "detached"})
        return None
    if len(attachments.of_volume(tx, volume.id)) == 1:
        volumes.set_metadata(tx, volume.id, "admin_metadata", {"attached_mode": None})
    return delete(tx, caller, attachment.id)


def force_detach(tx: Tx, caller: Caller, volume_id: str, attachment_id: str | None) -> str | None:
    """As detach, in any status and even while somebody holds the volume open. Raises NotFound, BadRequest."""
    attachment = _meant(tx, volumes.get(tx, volume_id, _mine(caller)), attachment_id)
    return None if attachment is None else delete(tx, caller, attachment.id, force=True)


def _meant(tx: Tx, volume: Volume, attachment_id: str | None) -> Attachment | None:
    """Which attachment a detach means; None: the volume has none."""
    rows = attachments.of_volume(tx, volume.id)
    if attachment_id:
        found = next((a for a in rows if a.id == attachment_id), None)
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


def _usable(tx: Tx, caller: Caller, volume_id: str) -> Volume:
    volume = volumes.lock(tx, volume_id, _mine(caller))
    if volume.status == "maintenance":
        raise WrongStatus(f"Invalid volume: volume {volume.id} is in maintenance", had="status maintenance")
    return volume


def _mine(caller: Caller) -> str | None:
    return None if caller.is_admin else caller.project_id

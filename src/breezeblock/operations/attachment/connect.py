# SPDX-License-Identifier: Apache-2.0
"""Give an attachment its connection: the volume is exported and the connector's host let in.

    export    Effect  backend  export and admit (undo: take both back)
    record    Change           connection info on the attachment; attaching

The caller waits for this operation; a repeated request for the same attachment and connector joins the running one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.flow.task import Change, Flow, Work
from breezeblock.model.errors import BadRequest, Conflict
from breezeblock.model.identity import Caller
from breezeblock.model.volume import Volume
from breezeblock.operations.attachment.create import resolve_mode
from breezeblock.operations.attachment.exporting import EXPORT, Admitted
from breezeblock.operations.failure import tell
from breezeblock.operations.ports import encode
from breezeblock.operations.submit import INTERACTIVE, backend_queue, new_id, submit_holding
from breezeblock.store import attachments, history, volumes
from breezeblock.store.transaction import Tx

#: Operations that give an attachment a connection.
CONNECTING = ("attachment.connect", "host.attach", "host.reconnect")


def connect(tx: Tx, caller: Caller, attachment_id: str, connector: Mapping[str, Any]) -> str:
    """The operation to wait for. Raises NotFound, BadRequest (connector), Conflict (another connection, or one being
    made with another connector)."""
    if not connector:
        raise BadRequest(
            "Invalid input received: the connector is empty",
            needed="a connector with host and protocol facts",
        )
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, attachments.get(tx, attachment_id, project).volume_id)
    attachment = attachments.get(tx, attachment_id, project)  # only under the lock does it stay as it is
    if attachment.operation_id and history.find_running(tx, attachment.operation_id) == FLOW.kind:
        _refuse_another(tx, attachment_id, attachment.operation_id, connector)
        return attachment.operation_id
    if volume.status.startswith("error") or volume.backend_id is None:
        raise Conflict(str(volumes.refuse(volume, "attachment_connect")))
    if not volume.multiattach:
        _refuse_second(tx, volume, attachment_id)
    operation = new_id()
    mode = (
        attachment.attach_mode if attachment.attach_mode != "null" else str(connector.get("mode") or "null")
    )
    attachments.write(tx, attachment_id, operation_id=operation)
    args: dict[str, Any] = {
        "attachment_id": attachment_id,
        "volume_id": volume.id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, volume.backend_id),
        "connector": dict(connector),
        "mode": resolve_mode(volume, mode if mode != "null" else None),
    }
    submit_holding(
        tx,
        FLOW,
        caller,
        volume,
        args,
        id=operation,
        queue=args["queue"],
        about=("attachment", attachment_id),
        lane=INTERACTIVE,
    )
    return operation


def _refuse_second(tx: Tx, volume: Volume, attachment_id: str) -> None:
    """An exclusive volume has one connection, whether its consumer uses it already or it is only being made."""
    for other in attachments.of_volume(tx, volume.id):
        if other.id == attachment_id:
            continue
        if other.connection_json:
            raise Conflict(
                f"Volume {volume.id} is already connected by attachment {other.id}",
                needed="a volume without a connection, or multiattach",
                had=f"attachment {other.id}",
            )
        running = history.find_running(tx, other.operation_id) if other.operation_id else None
        if running in CONNECTING:
            raise Conflict(
                f"Volume {volume.id} is being connected by attachment {other.id}",
                needed="a volume without a connection, or multiattach",
                had=f"operation {other.operation_id} ({running})",
                remedy="Wait until that operation has ended, or cancel it, then try again.",
                operation=str(other.operation_id),
            )


def _refuse_another(tx: Tx, attachment_id: str, operation: str, connector: Mapping[str, Any]) -> None:
    """Only the same connector joins: who is let in is the running operation's host, and its connection is no use to another."""
    running: Mapping[str, Any] = history.running_args(tx, operation)["connector"]
    if running != connector:
        raise Conflict(
            f"Attachment {attachment_id} is being connected with another connector",
            needed=f"the connector of host {running.get('host')} that operation {operation} connects",
            had=f"a connector of host {connector.get('host')}"
            + (" that differs" if running.get("host") == connector.get("host") else ""),
            remedy="Wait until that operation has ended, or cancel it, then try again.",
            operation=operation,
        )


def record_connection(tx: Tx, work: Work) -> None:
    """What `export` returned goes to the attachment; connection info is flat there, as the API shows it."""
    args, admitted = work.args, msgspec.convert(work.results["export"], Admitted)
    connector: Mapping[str, Any] = args["connector"]
    mode = args["mode"] if args["mode"] != "null" else "rw"
    flat = {"driver_volume_type": admitted.connection["driver_volume_type"], **admitted.connection["data"]}
    attachments.write(
        tx,
        args["attachment_id"],
        connector=encode(connector),
        connection=encode(flat | {"attachment_id": args["attachment_id"]}),
        export=encode(admitted.exported),
        attached_host=connector.get("host"),
        mountpoint=connector.get("mountpoint") or "na",
        attach_time=tx.now,
        attach_mode=mode,
        attach_status="attaching",
    )
    attachments.settle(tx, args["attachment_id"], work.operation)


def _record(tx: Tx, work: Work) -> None:
    record_connection(tx, work)
    volumes.begin(tx, work.args["volume_id"], "attachment_connect")


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    attachments.settle(tx, work.args["attachment_id"], work.operation, attach_status="error_attaching")
    tell_attach_failed(tx, work, error)


def tell_attach_failed(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    tell(
        tx, work, error, "attach volume", event_id="VOLUME_VOLUME_002_001", resource_id=work.args["volume_id"]
    )


FLOW = Flow(kind="attachment.connect", tasks=(EXPORT, Change("record", _record)), undone=_undone)

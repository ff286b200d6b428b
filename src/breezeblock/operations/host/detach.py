# SPDX-License-Identifier: Apache-2.0
"""Detach a volume from the host of an agent.

disconnect  Effect  host     pivot: flush, remove the device, see that it is gone; Busy (mounted) leaves everything as it was
unexport    Effect  backend  end the export
forget      Change           the attachment's row goes"""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Change, Flow, Work
from breezeblock.model.errors import Conflict, NotFound
from breezeblock.model.identity import Caller
from breezeblock.model.volume import Volume
from breezeblock.operations.attachment.delete import forget, stay_attached
from breezeblock.operations.attachment.exporting import UNEXPORT
from breezeblock.operations.host.connecting import DISCONNECT
from breezeblock.operations.submit import INTERACTIVE, agent_queue, backend_queue, new_id, submit_holding
from breezeblock.store import attachments, history, messages, volumes
from breezeblock.store.transaction import Tx


def detach(
    tx: Tx,
    caller: Caller,
    *,
    volume_id: str | None = None,
    attachment_id: str | None = None,
    force: bool = False,
) -> str:
    """The operation. Raises NotFound (nothing is attached by an agent), Conflict (several), WrongStatus."""
    project = None if caller.is_admin else caller.project_id
    if attachment_id is not None:
        attachment = attachments.get(tx, attachment_id, project)
    else:
        volume = volumes.get(tx, str(volume_id), project)
        mine = [a for a in volume.attachments or attachments.of_volume(tx, volume.id) if a.agent_host]
        if not mine:
            raise _not_by_an_agent(tx, volume)
        if len(mine) > 1:
            raise Conflict(
                f"Volume {volume_id} has several attachments",
                needed="an attachment id",
                had=", ".join(a.id for a in mine),
            )
        attachment = mine[0]
    volume = volumes.lock(tx, attachment.volume_id)
    attachment = attachments.get(tx, attachment.id)  # again: only under the lock does it stay as it is
    if attachment.agent_host is None:
        raise NotFound(
            f"Attachment {attachment.id} was not made by an agent", remedy="Delete the attachment instead."
        )
    if attachment.operation_id and history.find_running(tx, attachment.operation_id) == FLOW.kind:
        return attachment.operation_id
    operation = new_id()
    if volume.status == "in-use" and not volumes.begin(
        tx, volume.id, "begin_detaching", operation_id=operation
    ):
        raise volumes.refuse(volume, "begin_detaching")
    attachments.write(tx, attachment.id, operation_id=operation)
    args: dict[str, Any] = {
        "attachment_id": attachment.id,
        "volume_id": volume.id,
        "backend_id": volume.backend_id,
        "force": force,
        "queue": backend_queue(tx, str(volume.backend_id)),
        "host_queue": agent_queue(attachment.agent_host),
        "connector": attachment.connector,
    }
    submit_holding(tx, FLOW, caller, volume, args, id=operation, queue=args["host_queue"], lane=INTERACTIVE)
    return operation


def _not_by_an_agent(tx: Tx, volume: Volume) -> NotFound:
    clients = ", ".join(
        f"attachment {a.id} of {a.attached_host or 'a client'}" for a in attachments.of_volume(tx, volume.id)
    )
    return NotFound(
        f"Volume {volume.id} is not attached to a host by an agent",
        needed="an attachment that an agent made",
        had=clients or "no attachment",
        remedy="Its client ends it; when that is gone: 'breezeblock detach --force' (refused while a session is open)."
        if clients
        else "There is nothing to detach.",
    )


def _forget(tx: Tx, work: Work) -> None:
    forget(tx, work.args["attachment_id"], work.args["volume_id"])


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    """Nothing was taken away: in use as before, and the reason is told."""
    attachments.settle(tx, work.args["attachment_id"], work.operation)
    stay_attached(tx, work, error)


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    """The device could not be taken away: as before. The device is gone but the export is not: for an operator, and to be tried again;
    the volume is in use until its export has ended."""
    if error.get("task") == DISCONNECT.name:
        _undone(tx, work, error)
        return
    attachments.settle(tx, work.args["attachment_id"], work.operation, attach_status="error_detaching")
    stay_attached(tx, work, error)
    messages.find_out(
        tx, work.args["volume_id"], work.operation, "export.not-ended", str(error.get("message"))
    )


FLOW = Flow(
    kind="host.detach",
    tasks=(DISCONNECT, UNEXPORT, Change("forget", _forget)),
    pivot="disconnect",
    undone=_undone,
    stuck=_stuck,
)

# SPDX-License-Identifier: Apache-2.0
"""Bring an attachment of this host's agent back after the host was rebooted or its exporter died: export again, connect again.

    export    Effect  backend
    connect   Effect  host
    record    Change           the new device and boot id

If that cannot be done the attachment is marked `error_attaching` with a finding, never silently dropped."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment.connect import record_connection
from breezeblock.operations.attachment.exporting import EXPORT
from breezeblock.operations.host.connecting import connect, host_queue
from breezeblock.operations.ports import encode
from breezeblock.operations.submit import INTERACTIVE, agent_queue, backend_queue, new_id, submit_holding
from breezeblock.store import attachments, history, messages, volumes
from breezeblock.store.transaction import Tx


def reconnect(tx: Tx, attachment_id: str, reason: str) -> str | None:
    """The operation; None when the attachment has gone or is being worked on meanwhile."""
    seen = attachments.find(tx, attachment_id)
    if seen is None:
        return None
    volume = volumes.lock(tx, seen.volume_id)
    attachment = attachments.find(tx, attachment_id)  # again: only under the lock does it stay as it is
    if attachment is None or attachment.attach_status != "attached" or not attachment.connection_json:
        return None
    if attachment.operation_id and history.find_running(tx, attachment.operation_id):
        return None
    operation = new_id()
    attachments.write(tx, attachment.id, operation_id=operation)
    args: dict[str, Any] = {
        "attachment_id": attachment.id,
        "volume_id": volume.id,
        "backend_id": volume.backend_id,
        "reason": reason,
        "queue": backend_queue(tx, str(volume.backend_id)),
        "host_queue": agent_queue(str(attachment.agent_host)),
        "connector": attachment.connector,
        "mode": attachment.attach_mode,
    }
    submit_holding(
        tx,
        FLOW,
        Caller(user_id="", project_id=volume.project_id, is_admin=True),
        volume,
        args,
        id=operation,
        queue=args["queue"],
        lane=INTERACTIVE,
    )
    return operation


def _record(tx: Tx, work: Work) -> None:
    record_connection(tx, work)
    device = work.results["connect"]
    attachments.write(
        tx,
        work.args["attachment_id"],
        device=encode(device),
        boot_id=work.ports.boot_id,
        mountpoint=str(device["path"])[:255],
        attach_status="attached",
    )


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    attachments.settle(tx, work.args["attachment_id"], work.operation, attach_status="error_attaching")
    messages.find_out(
        tx,
        work.args["volume_id"],
        work.operation,
        "attachment.stale",
        f"{work.args['reason']}; reconnecting failed: {error.get('message')}",
    )


#: no undo: what stood before is gone already, and taking a new export away again helps nobody
_EXPORT = Effect("export", EXPORT.do, observe=EXPORT.observe, queue=EXPORT.queue)

FLOW = Flow(
    kind="host.reconnect",
    tasks=(_EXPORT, Effect("connect", connect, queue=host_queue), Change("record", _record)),
    undone=_undone,
)

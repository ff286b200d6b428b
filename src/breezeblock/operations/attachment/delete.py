# SPDX-License-Identifier: Apache-2.0
"""End an attachment.

    unexport  Effect  backend  pivot: take the admission back, end the export when nobody shares it
    forget    Change           the row goes; what remains attached decides the volume's status

An attachment that was never connected is gone with the request; one that is being connected now is told to stop, and this waits behind
it. An export that somebody still holds open is Busy: nothing is changed and the sessions are named (the consumer disconnects first; only
a forced detach cuts it)."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Change, Flow, Work
from breezeblock.model import status as states
from breezeblock.model.errors import Busy
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment.exporting import UNEXPORT
from breezeblock.operations.failure import tell
from breezeblock.operations.submit import INTERACTIVE, backend_queue, new_id, submit_holding
from breezeblock.store import attachments, history, operations, volumes
from breezeblock.store.transaction import Tx


def delete(tx: Tx, caller: Caller, attachment_id: str, *, force: bool = False) -> str | None:
    """The operation to wait for; None when it is already gone. Raises NotFound."""
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, attachments.get(tx, attachment_id, project).volume_id)
    attachment = attachments.get(tx, attachment_id, project)  # only under the lock does it stay as it is
    running = history.find_running(tx, attachment.operation_id) if attachment.operation_id else None
    if running == FLOW.kind:
        return attachment.operation_id
    if not attachment.connection_json:
        if running is not None:
            operations.request_cancel(tx, str(attachment.operation_id))
        elif attachment.attach_status != "error_attaching":
            forget(tx, attachment_id, volume.id)
            return None
    operation = new_id()
    attachments.write(tx, attachment_id, operation_id=operation)
    args: dict[str, Any] = {
        "attachment_id": attachment_id,
        "volume_id": volume.id,
        "backend_id": volume.backend_id,
        "force": force,
        "queue": backend_queue(tx, str(volume.backend_id)),
        "connector": attachment.connector,
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


def forget(tx: Tx, attachment_id: str, volume_id: str) -> None:
    """Remove the row and settle the volume by what remains; an operation that holds the volume's status says itself how it ends."""
    if attachments.find(tx, attachment_id) is None:
        return  # another detach was first, and the volume may be somebody else's by now
    # locked: of two attachments that go at once each would see the other one remain
    volume = volumes.lock(tx, volume_id)
    if not attachments.remove(tx, attachment_id):
        return
    attached = volumes.attach_status_of(tx, volume_id)
    state = states.VOLUME.get(volume.status)
    if (
        (volume.migration_status and volume.migration_status not in states.MIGRATION_FREE)
        or (state is not None and state.holder is states.Holder.OPERATION)
        or volume.status.startswith("error")
    ):
        volumes.write(tx, volume_id, attach_status=attached)
    else:
        volumes.settle(tx, volume_id, states.BY_ATTACHMENTS, attach_status=attached)


def _forget(tx: Tx, work: Work) -> None:
    forget(tx, work.args["attachment_id"], work.args["volume_id"])


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    """Busy: as before. Anything else: error_detaching, for an operator."""
    values = {} if error.get("code") == Busy.code else {"attach_status": "error_detaching"}
    attachments.settle(tx, work.args["attachment_id"], work.operation, **values)
    stay_attached(tx, work, error)


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    attachments.settle(tx, work.args["attachment_id"], work.operation)
    stay_attached(tx, work, error)


def stay_attached(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    """A detach that was not: a volume that was detaching is in use as before, and its owner is told why."""
    args = work.args
    volume = volumes.find(tx, args["volume_id"])
    if volume is not None and volume.status == "detaching":
        volumes.settle(tx, args["volume_id"], states.VOLUME_MOVES["roll_detaching"].done)
    tell(tx, work, error, "detach volume", event_id="VOLUME_VOLUME_002_001", resource_id=args["volume_id"])


FLOW = Flow(
    kind="attachment.delete",
    tasks=(UNEXPORT, Change("forget", _forget)),
    pivot="unexport",
    undone=_undone,
    stuck=_stuck,
)

# SPDX-License-Identifier: Apache-2.0
"""Actions on a snapshot: write a status, delete by force, report a driver's progress."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.fields import Text255
from breezeblock.api.route import WRITE, route
from breezeblock.model.errors import BadRequest
from breezeblock.model.status import SNAPSHOT, SNAPSHOT_REPORTS, resettable
from breezeblock.operations.snapshot.delete import delete
from breezeblock.store import history, keys, messages, snapshots
from breezeblock.store.transaction import Tx

ACTION = "POST /snapshots/{snapshot_id}/action"
RULE = "volume_extension:snapshot_admin_actions:"


class ResetStatus(msgspec.Struct):
    status: Text255


class Report(msgspec.Struct):
    status: Text255
    progress: Annotated[str, msgspec.Meta(pattern=r"^(100|[0-9]{1,2})%(?!\n)$")] | UnsetType = UNSET


@route(
    "snapshots.action.os-reset_status",
    ACTION,
    action="os-reset_status",
    hop=WRITE,
    status=202,
    policy=RULE + "reset_status",
    body=ResetStatus,
)
def reset_status(call: Call, tx: Tx, snapshot_id: str, body: ResetStatus) -> None:
    """Write the status; a running operation loses."""
    status, known = body.status.lower(), resettable(SNAPSHOT)
    if status not in known:
        raise BadRequest(
            "Must specify a valid status",
            needed=f"one of {', '.join(sorted(known))}",
            had=repr(body.status[:40]),
        )
    snapshot = snapshots.get(tx, snapshot_id, call.scope)
    if snapshot.operation_id is not None and history.find_running(tx, snapshot.operation_id):
        history.finish(
            tx, snapshot.operation_id, "failed", {"code": "lost.fenced", "message": "ended by reset-status"}
        )
        keys.release(tx, snapshot.operation_id)
    messages.find_out(
        tx,
        snapshot.id,
        snapshot.operation_id,
        "status.reset",
        f"reset by an administrator from {snapshot.status} to {status}",
    )
    snapshots.settle(tx, snapshot.id, status)


@route(
    "snapshots.action.os-force_delete",
    ACTION,
    action="os-force_delete",
    hop=WRITE,
    status=202,
    policy=(RULE + "force_delete", "volume:delete_snapshot"),
)
def force_delete(call: Call, tx: Tx, snapshot_id: str) -> None:
    """Delete a snapshot whatever its status."""
    call.operation_id = delete(tx, call.caller, snapshot_id, force=True)


@route(
    "snapshots.action.os-update_snapshot_status",
    ACTION,
    action="os-update_snapshot_status",
    hop=WRITE,
    status=202,
    policy="snapshot_extension:snapshot_actions:update_snapshot_status",
    body=Report,
)
def update_status(call: Call, tx: Tx, snapshot_id: str, body: Report) -> None:
    """What the host that takes or removes the snapshot reports."""
    snapshot = snapshots.get(tx, snapshot_id, call.scope)
    known = SNAPSHOT_REPORTS.get(snapshot.status, frozenset())
    if body.status not in known:
        raise BadRequest(
            f"Invalid snapshot: {snapshot.id} cannot be reported {body.status[:40]!r}",
            needed=f"one of {', '.join(sorted(known))}"
            if known
            else "a snapshot that is creating or deleting",
            had=f"status {snapshot.status}",
        )
    progress = {} if body.progress is UNSET else {"progress": body.progress}
    if body.status == snapshot.status:
        snapshots.write(tx, snapshot.id, **progress)
    else:
        snapshots.settle(tx, snapshot.id, body.status, **progress)

# SPDX-License-Identifier: Apache-2.0
"""Actions on a snapshot: write a status, delete by force, report a driver's progress."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.fields import Text255
from breezeblock.api.route import WRITE, route
from breezeblock.operations.snapshot import edit
from breezeblock.operations.snapshot.delete import delete
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
    edit.reset_status(tx, call.caller, snapshot_id, body.status.lower())


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
    progress = None if body.progress is UNSET else body.progress
    edit.report_status(tx, call.caller, snapshot_id, body.status, progress)

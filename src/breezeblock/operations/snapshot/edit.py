# SPDX-License-Identifier: Apache-2.0
"""Verbs of a snapshot without an effect outside: one transaction each, no operation."""

from __future__ import annotations

from breezeblock.model import status as states
from breezeblock.model.errors import BadRequest
from breezeblock.model.identity import Caller
from breezeblock.operations.fence_off import fence_off
from breezeblock.store import messages, snapshots, volumes
from breezeblock.store.transaction import Tx


def _mine(caller: Caller) -> str | None:
    return None if caller.is_admin else caller.project_id


def reset_status(tx: Tx, caller: Caller, snapshot_id: str, status: str) -> None:
    """An administrator's word: a running operation loses, the finding is kept, the status is written. Raises BadRequest, NotFound."""
    known = states.resettable(states.SNAPSHOT)
    if status not in known:
        raise BadRequest(
            "Must specify a valid status", needed=f"one of {', '.join(sorted(known))}", had=repr(status[:40])
        )
    volumes.lock(tx, snapshots.get(tx, snapshot_id, _mine(caller)).volume_id)
    snapshot = snapshots.lock(tx, snapshot_id)  # only under the locks does it stay as it is
    fence_off(tx, snapshot.operation_id, "reset-status")
    messages.find_out(
        tx,
        snapshot.id,
        snapshot.operation_id,
        "status.reset",
        f"reset by an administrator from {snapshot.status} to {status}",
    )
    snapshots.settle(tx, snapshot.id, status)


def report_status(tx: Tx, caller: Caller, snapshot_id: str, status: str, progress: str | None) -> None:
    """What the host that takes or removes the snapshot reports; `progress` is "0%" to "100%". Raises BadRequest, NotFound."""
    snapshot = snapshots.get(tx, snapshot_id, _mine(caller))
    known = states.SNAPSHOT_REPORTS.get(snapshot.status, frozenset())
    if status not in known:
        raise BadRequest(
            f"Invalid snapshot: {snapshot.id} cannot be reported {status[:40]!r}",
            needed=f"one of {', '.join(sorted(known))}"
            if known
            else "a snapshot that is creating or deleting",
            had=f"status {snapshot.status}",
        )
    values = {} if progress is None else {"progress": progress}
    if status == snapshot.status:
        snapshots.write(tx, snapshot.id, **values)
    else:
        snapshots.settle(tx, snapshot.id, status, **values)

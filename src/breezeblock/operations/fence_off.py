# SPDX-License-Identifier: Apache-2.0
"""End a running operation because somebody with the right to do so takes its resource away: it goes into history as failed, its keys are
released, what it was promised and charged for the time being goes back, what it held besides (the snapshots of a volume that was being
deleted, the volume of a snapshot that was being reverted to) is let go, and its owner's next write is refused (fenced). Must never touch
what the operation made outside: whoever takes over answers for that."""

from __future__ import annotations

from breezeblock.model.errors import Fenced
from breezeblock.model.status import SNAPSHOT, VOLUME, at_rest
from breezeblock.store import attachments, history, keys, pools, quotas, snapshots, volumes
from breezeblock.store.quotas import EXTENSION
from breezeblock.store.transaction import Tx


def fence_off(tx: Tx, operation_id: str | None, by: str) -> bool:
    """True when there was something to end. `by` is what ended it, for people ("reset-status"). The caller has locked the volume, and
    writes afterwards what its own resource shall be."""
    if operation_id is None or history.find_running(tx, operation_id) is None:
        return False
    volume_id = history.running_args(tx, operation_id).get("volume_id")
    pools.settle_all(tx, operation_id)
    quotas.discharge(tx, history.get(tx, operation_id, None).resource_id, reason=EXTENSION)
    history.finish(tx, operation_id, "failed", {"code": Fenced.code, "message": f"ended by {by}"})
    keys.release(tx, operation_id)
    if volume_id is not None:
        _let_go(tx, operation_id, str(volume_id))
    return True


def _let_go(tx: Tx, operation_id: str, volume_id: str) -> None:
    """A status that only this operation would have ended must not stay for ever."""
    volume = volumes.find(tx, volume_id)
    if volume is not None and volume.operation_id == operation_id:
        volumes.settle(tx, volume_id, at_rest(VOLUME, volume.status))
    for child in snapshots.of_volume(tx, volume_id):
        if child.operation_id == operation_id:
            snapshots.settle(tx, child.id, at_rest(SNAPSHOT, child.status))
    for attachment in attachments.of_volume(tx, volume_id):
        attachments.settle(tx, attachment.id, operation_id)

# SPDX-License-Identifier: Apache-2.0
"""End a running operation because somebody with the right to do so takes its resource away: it goes into history as failed, its keys are
released, what it was promised and charged for the time being goes back, and its owner's next write is refused (fenced). Must never touch
what the operation made outside: whoever takes over answers for that."""

from __future__ import annotations

from breezeblock.model.errors import Fenced
from breezeblock.store import history, keys, pools, quotas
from breezeblock.store.quotas import EXTENSION
from breezeblock.store.transaction import Tx


def fence_off(tx: Tx, operation_id: str | None, by: str) -> bool:
    """True when there was something to end. `by` is what ended it, for people ("reset-status")."""
    if operation_id is None or history.find_running(tx, operation_id) is None:
        return False
    pools.settle_all(tx, operation_id)
    quotas.discharge(tx, history.get(tx, operation_id, None).resource_id, reason=EXTENSION)
    history.finish(tx, operation_id, "failed", {"code": Fenced.code, "message": f"ended by {by}"})
    keys.release(tx, operation_id)
    return True

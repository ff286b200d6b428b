# SPDX-License-Identifier: Apache-2.0
"""A snapshot that is pinned and deleted at the same moment: one of the two is told, never neither. On all three databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from breezeblock.store import keys, snapshots
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx
from tests.store.rows import operation, snapshot, volume

DEADLINE = 20.0


def test_a_delete_that_waits_for_who_pins_sees_the_pin(store: Store) -> None:
    id = store.write_sync(lambda tx: snapshot(tx, volume(tx)))
    locked, go = threading.Event(), threading.Event()

    def pin(tx: Tx) -> str:
        seen = snapshots.lock(tx, id)
        locked.set()
        go.wait(0.3)  # the delete has begun meanwhile, where transactions run beside each other
        assert seen.status == "available"
        return operation(tx, keys={f"pin/snapshot/{id}": False})

    def delete(tx: Tx) -> str | None:
        assert snapshots.begin(tx, id, "delete")
        go.set()
        return keys.pinned_by(tx, f"snapshot/{id}")

    with ThreadPoolExecutor(2) as pool:
        pinning = pool.submit(store.write_sync, pin)
        assert locked.wait(DEADLINE)
        deleting = pool.submit(store.write_sync, delete)
        assert deleting.result(DEADLINE) == pinning.result(DEADLINE)

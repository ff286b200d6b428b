# SPDX-License-Identifier: Apache-2.0
"""What a placement says when there was nothing to choose from."""

from __future__ import annotations

from breezeblock.model.errors import NoBackend
from breezeblock.operations.placement import _none_reported
from breezeblock.store import pools
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx


def test_without_any_pool_the_backends_that_are_down_say_why(store: Store) -> None:
    row = {
        "id": "b1",
        "name": "fast",
        "host": "host1",
        "driver": "file",
        "availability_zone": "nova",
        "host_bound": True,
        "capabilities": "{}",
        "state": "down",
        "reason": "The program qemu-storage-daemon is not installed",
    }

    def ask(tx: Tx) -> NoBackend:
        pools.register(tx, row)
        return _none_reported(tx, NoBackend("No pool can take the volume: no pool has reported yet"))

    error = store.write_sync(ask)
    assert "backend fast: The program qemu-storage-daemon is not installed" in str(error.had)
    assert "breezeblock status" in error.remedy


def test_with_nothing_down_the_catalogues_remedy_stays(store: Store) -> None:
    error = store.read_sync(lambda tx: _none_reported(tx, NoBackend("nothing yet")))
    assert (error.remedy, error.had) == (NoBackend.default_remedy, None)

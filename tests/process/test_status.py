# SPDX-License-Identifier: Apache-2.0
"""What the status warns of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.process.status import Status
from breezeblock.store import attachments, setup, volumes
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.transaction import Tx


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    upgrade(url)
    store = Store(url, threads=1)
    store.write_sync(setup.prepare)
    yield store
    store.close()


def test_a_device_that_was_lost_is_warned_of_with_what_to_do(store: Store, tmp_path: Path) -> None:
    def write(tx: Tx) -> None:
        for id, attached in (("v1", "attached"), ("v2", "error_attaching"), ("v3", "error_detaching")):
            volumes.create(tx, {"id": id, "project_id": "p", "user_id": "u", "size": 1, "status": "in-use"})
            attachments.create(
                tx, {"id": f"a-{id}", "volume_id": id, "project_id": "p", "attach_status": attached}
            )

    store.write_sync(write)
    status = Status(
        store, [], folder=tmp_path, database="", roles=[], host="h", boot_id="b", started_at="2026-11-21"
    )
    warnings = asyncio.run(status.read())["warnings"]
    assert [warning.split(" is broken")[0] for warning in warnings] == [
        "the connection of volume v2",
        "the connection of volume v3",
    ]
    assert "breezeblock explain v2" in warnings[0]

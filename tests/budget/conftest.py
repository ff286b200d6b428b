# SPDX-License-Identifier: Apache-2.0
"""A service's API inside the test, on SQLite, with volumes, snapshots and attachments to ask for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.store import attachments, pools, quotas, setup, snapshots, volumes
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.transaction import Tx
from tests.bench import rows
from tests.bench.inside import Inside

PROJECT = "5f705f70-0000-4000-8000-000000000000"
VOLUMES = 300
SNAPSHOT, ATTACHMENT = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with everything there is one of, to be copied."""
    file = tmp_path_factory.mktemp("budget") / "furnished.sqlite"
    url = f"sqlite:///{file}"
    upgrade(url)
    store = Store(url)
    store.write_sync(_prepare)
    rows.fill(url, PROJECT, VOLUMES)
    store.write_sync(_furnish)
    store.close()
    return file


@pytest.fixture
def inside(furnished: Path, tmp_path: Path) -> Iterator[Inside]:
    file = shutil.copy(furnished, tmp_path / "budget.sqlite")
    made = Inside(f"sqlite:///{file}", PROJECT)
    yield made
    made.close()


def _prepare(tx: Tx) -> None:
    setup.prepare(tx)
    quotas.set_limits(tx, PROJECT, {quotas.ANY: -1})
    pools.register(
        tx,
        {
            "id": "cccccccc-0000-4000-8000-000000000001", "name": "local", "host": "here", "driver": "file", "host_bound": True,
            "availability_zone": "nova", "capabilities": "{}", "state": "up",
        },
    )  # fmt: skip


def _furnish(tx: Tx) -> None:
    """The newest volume has a snapshot; the one before it is attached."""
    snapshots.create(
        tx,
        {
            "id": SNAPSHOT, "volume_id": rows.id_of(VOLUMES), "project_id": PROJECT, "user_id": PROJECT, "name": "s", "size": 1,
            "status": "available",
        },
    )  # fmt: skip
    attached = rows.id_of(VOLUMES - 1)
    attachments.create(
        tx, {"id": ATTACHMENT, "volume_id": attached, "project_id": PROJECT, "attach_status": "attached"}
    )
    volumes.write(tx, attached, attach_status="attached")

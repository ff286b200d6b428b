# SPDX-License-Identifier: Apache-2.0
"""A store on a migrated database of each of the three servers, empty but for what every database holds. Migrated once per server and
emptied between tests, because making thirty tables takes longer than most tests."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from breezeblock.store import setup
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.schema import metadata
from breezeblock.store.transaction import Tx
from tests.lab import databases
from tests.store.rows import Bells


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "template.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


def _migrated(server: str, name: str) -> Iterator[str]:
    with databases.fresh_database(server, name) as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> Iterator[str]:
    yield from _migrated(postgresql_server, f"store{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server: str) -> Iterator[str]:
    yield from _migrated(mariadb_server, f"store{uuid.uuid4().hex}")


@pytest.fixture
def sqlite_store_url(migrated_file: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'store.sqlite')}"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.lab),
        pytest.param("mariadb", marks=pytest.mark.lab),
    ]
)
def store_url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_store_url" if request.param == "sqlite" else f"migrated_{request.param}"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def store(store_url: str, bells: Bells) -> Iterator[Store]:
    """On all three servers."""
    yield from _opened(store_url, bells.ring)
    bells.rung.clear()


@pytest.fixture
def sqlite_store(sqlite_store_url: str, bells: Bells) -> Iterator[Store]:
    yield from _opened(sqlite_store_url, bells.ring)


def _opened(url: str, ring: Callable[[frozenset[str]], None]) -> Iterator[Store]:
    store = Store(url, bell=ring)
    store.write_sync(_emptied)
    try:
        yield store
    finally:
        store.close()


def _emptied(tx: Tx) -> None:
    for table in reversed(metadata.sorted_tables):
        tx.execute(delete(table))
    setup.prepare(tx)

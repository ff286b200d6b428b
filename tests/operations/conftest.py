# SPDX-License-Identifier: Apache-2.0
"""A store (SQLite) with one backend and nobody who claims: what a verb writes stays as it was written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.model.identity import Caller
from breezeblock.store.database import Store
from tests.api import rows


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its schema, default rows and one backend; every test gets a copy."""
    return rows.prepared(tmp_path_factory.mktemp("operations") / "prepared.sqlite")


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(prepared, tmp_path / "operations.sqlite")
    store = Store(f"sqlite:///{tmp_path / 'operations.sqlite'}", threads=1)
    yield store
    store.close()


@pytest.fixture
def admin() -> Caller:
    return Caller(user_id=rows.USER, project_id=rows.PROJECT, is_admin=True)


@pytest.fixture
def member() -> Caller:
    return Caller(user_id=rows.USER, project_id=rows.PROJECT)


@pytest.fixture
def stranger() -> Caller:
    """A member of another project."""
    return Caller(user_id="d" * 32, project_id=rows.OTHER_PROJECT)

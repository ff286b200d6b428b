# SPDX-License-Identifier: Apache-2.0
"""A store on a fresh, migrated database of each of the three servers, and the callers and rows that tests begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breezeblock.store import setup
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from tests.store.rows import Bells


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def store(database_url: str, bells: Bells) -> Iterator[Store]:
    """On all three servers."""
    yield from _opened(database_url, bells)


@pytest.fixture
def sqlite_store(sqlite_url: str, bells: Bells) -> Iterator[Store]:
    yield from _opened(sqlite_url, bells)


def _opened(url: str, bells: Bells) -> Iterator[Store]:
    upgrade(url)
    store = Store(url, bell=bells.ring)
    store.write_sync(setup.prepare)
    bells.rung.clear()
    try:
        yield store
    finally:
        store.close()

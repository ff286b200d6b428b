# SPDX-License-Identifier: Apache-2.0
"""The database's clock, once per dialect: microseconds, close to ours, never going back, whatever the session's time zone is."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text

from breezeblock.store.clock import utc_text
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx


def test_it_agrees_with_ours(store: Store) -> None:
    before = time.time()
    found = store.read_sync(lambda tx: tx.now_us())
    assert before - 2 < found / 1e6 < time.time() + 2


def test_it_never_goes_back(store: Store) -> None:
    found: list[int] = []
    began = time.monotonic()
    while time.monotonic() - began < 0.02:  # SQLite's has milliseconds
        found.append(store.read_sync(lambda tx: tx.now_us()))
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_it_moves_on_within_a_transaction(store: Store) -> None:
    """MariaDB's and PostgreSQL's NOW() is the start of the transaction: a long one would write leases that are over already."""

    def twice(tx: Tx) -> tuple[int, int]:
        first = tx.now_us()
        time.sleep(0.02)
        return first, tx.now_us()

    first, second = store.write_sync(twice)
    assert second - first >= 15_000
    assert store.write_sync(lambda tx: tx.now_us()) >= second


def test_it_does_not_go_through_local_time(store: Store) -> None:
    """In local time an hour comes twice every autumn."""
    if store.dialect == "sqlite":
        assert store.read_sync(lambda tx: tx.now_us()) > 0
        return
    command = "SET TIME ZONE '+05'" if store.dialect == "postgresql" else "SET time_zone = '+05:00'"

    def shifted(tx: Tx) -> int:
        tx.execute(text(command))
        try:
            return tx.now_us()
        finally:
            tx.execute(
                text("SET TIME ZONE DEFAULT" if store.dialect == "postgresql" else "SET time_zone = DEFAULT")
            )

    assert abs(store.read_sync(shifted) / 1e6 - time.time()) < 2


@pytest.mark.parametrize("seconds", [0, 1_700_000_000, 1_700_000_000.5])
def test_instants_for_people_have_one_width_and_sort_as_they_read(seconds: float) -> None:
    assert len(utc_text(seconds)) == 26
    assert utc_text(seconds) < utc_text(seconds + 0.000_01) < utc_text()

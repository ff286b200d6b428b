# SPDX-License-Identifier: Apache-2.0
"""How many statements a request says to the database: a budget, so that no list costs one more per row, and no create grows unnoticed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from breezeblock.model.identity import Caller
from breezeblock.model.paging import PageQuery
from breezeblock.operations.volume.create import CreateVolume, create
from breezeblock.store import attachments, history, operations, volumes
from breezeblock.store.database import Store
from breezeblock.store.operations import BULK
from breezeblock.store.transaction import Tx
from tests.store.rows import operation, volume

ADMIN = Caller(user_id="u", project_id="p", is_admin=True)


def said(store: Store, fn: Callable[[Tx], Any], *, write: bool = False) -> list[str]:
    """The statements of one function, without the transaction's own. Run once before, so that nothing is counted that is said once."""
    statements: list[str] = []

    def counted(tx: Tx) -> None:
        raw: Any = tx.conn.connection.dbapi_connection
        raw.set_trace_callback(statements.append)
        try:
            fn(tx)
        finally:
            raw.set_trace_callback(None)

    run = store.write_sync if write else store.read_sync
    run(fn)
    run(counted)
    words = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "ROLLBACK")
    return [s for s in statements if not s.lstrip().startswith(words)]


@pytest.fixture
def attached(sqlite_store: Store) -> list[str]:
    """Five volumes, each attached twice."""

    def write(tx: Tx) -> list[str]:
        ids = [volume(tx, attach_status="attached") for _ in range(5)]
        for id in ids * 2:
            attachments.create(tx, {"id": str(uuid.uuid4()), "volume_id": id, "project_id": "p"})
        return ids

    return sqlite_store.write_sync(write)


def test_a_volume_is_one_query_and_one_more_when_it_is_attached(
    sqlite_store: Store, attached: list[str]
) -> None:
    free = sqlite_store.write_sync(lambda tx: volume(tx))
    assert len(said(sqlite_store, lambda tx: volumes.get(tx, free, "p"))) == 1
    assert len(said(sqlite_store, lambda tx: volumes.get(tx, attached[0], "p"))) == 2


@pytest.mark.parametrize(("with_attachments", "number"), [(False, 1), (True, 2)])
def test_a_page_is_one_query_and_one_more_for_all_attachments(
    sqlite_store: Store, attached: list[str], with_attachments: bool, number: int
) -> None:
    query = PageQuery(project_id="p", with_attachments=with_attachments)
    found = sqlite_store.read_sync(lambda tx: volumes.page(tx, query))
    assert sum(len(v.attachments) for v in found) == (10 if with_attachments else 0)
    assert len(said(sqlite_store, lambda tx: volumes.page(tx, query))) == number


def test_a_marker_costs_one_query_more(sqlite_store: Store, attached: list[str]) -> None:
    query = PageQuery(project_id="p", marker=attached[2])
    assert len(said(sqlite_store, lambda tx: volumes.page(tx, query))) == 2


def test_a_create_stays_within_its_budget(sqlite_store: Store) -> None:
    """The type, limits and usage, the charge, the row, the operation; and the volume read back. An upsert of four rows counts four."""
    statements = said(sqlite_store, lambda tx: create(tx, ADMIN, CreateVolume(size=1)), write=True)
    print("\n".join(s[:100].replace("\n", " ") for s in statements))
    assert len([s for s in statements if s.lstrip().startswith("SELECT")]) <= 6
    assert len(statements) <= 18


def test_a_claim_looks_once_for_one_and_for_many(sqlite_store: Store) -> None:
    """One statement is said per row, in one batch: the lease that is written."""

    def claim(tx: Tx) -> None:
        assert len(operations.claim(tx, "a", ["q"], BULK, 20, 15_000_000)) == 20

    for _ in range(2):
        sqlite_store.write_sync(lambda tx: [operation(tx) for _ in range(20)])
    statements = said(sqlite_store, claim, write=True)
    assert len([s for s in statements if s.lstrip().startswith("SELECT")]) <= 3
    assert len(statements) <= 20 + 4


def test_a_list_of_operations_costs_the_same_for_one_and_for_many(sqlite_store: Store) -> None:
    def counted() -> int:
        return len(said(sqlite_store, lambda tx: history.page(tx, project_id="p")))

    def more(tx: Tx) -> None:
        operation(tx)
        operation(tx, keys={"k": True})
        operations.claim(tx, "a", ["q"], BULK, 1, 10**12)

    sqlite_store.write_sync(more)
    sqlite_store.write_sync(more)
    few = counted()
    for _ in range(10):
        sqlite_store.write_sync(more)
    assert counted() == few <= 5

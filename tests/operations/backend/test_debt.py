# SPDX-License-Identifier: Apache-2.0
"""A debt is paid with what the failed operation left, never with what a newer one makes under the same name."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from sqlalchemy import insert, select

from breezeblock.drivers.driver import Kind
from breezeblock.flow.linear import Outcome
from breezeblock.model.units import GiB
from breezeblock.operations.backend.debt import pay
from breezeblock.store import debts, operations
from breezeblock.store.database import Store
from breezeblock.store.debts import Debt
from breezeblock.store.schema import debts as debt_table
from breezeblock.store.transaction import Tx
from tests.api import rows
from tests.operations.outside import Outside


@pytest.fixture
def outside(store: Store) -> Outside:
    return Outside(store)


def owed_for(volume: str) -> Debt:
    """The object that a create's first round may have made."""
    return Debt(
        id=str(uuid.uuid4()),
        queue=f"backend/{rows.BACKEND}",
        operation_id=str(uuid.uuid4()),
        kind="volume.create",
        task="allocate",
        resource_id=volume,
        project_id=rows.PROJECT,
        args={"volume_id": volume, "size": GiB, "source_volid": None},
        intent={"backend_id": rows.BACKEND, "volume_id": volume},
        result=None,
        results={},
    )


@pytest.mark.parametrize(
    ("status", "placed", "outcome", "kept"),
    [
        ("creating", False, Outcome.RELEASED, True),
        ("creating", True, Outcome.SUCCEEDED, True),
        ("available", True, Outcome.SUCCEEDED, True),
        ("error", False, Outcome.SUCCEEDED, False),
    ],
)
def test_what_a_create_owes_is_not_taken_away_while_a_later_round_may_make_it_again(
    store: Store, outside: Outside, status: str, placed: bool, outcome: Outcome, kept: bool
) -> None:
    volume = rows.volume(store, status=status, placed=placed)
    made = outside.home.driver.put(volume, Kind.VOLUME, GiB)
    store.write_sync(lambda tx: pay(tx, owed_for(volume)))
    assert outside.turn() == outcome
    assert (made.name in outside.home.driver.objects) is kept


def test_what_is_owed_for_a_volume_that_has_gone_is_taken_away(store: Store, outside: Outside) -> None:
    volume = str(uuid.uuid4())
    outside.home.driver.put(volume, Kind.VOLUME, GiB)
    store.write_sync(lambda tx: pay(tx, owed_for(volume)))
    assert outside.turn() == Outcome.SUCCEEDED
    assert outside.home.driver.objects == {}


def test_a_payment_that_is_cancelled_before_it_began_is_tried_again(store: Store, outside: Outside) -> None:
    debt = owed_for(rows.volume(store, status="error", placed=False))
    row = {
        "id": debt.id, "queue": debt.queue, "operation_id": debt.operation_id, "kind": debt.kind, "task": debt.task, "error": "{}",
        "attempt": 1, "not_before_us": 0, "created_at": "2026-11-21T07:43:43.000000", "work": msgspec.json.encode(debt).decode(),
    }  # fmt: skip

    def cancelled(tx: Tx) -> None:
        tx.execute(insert(debt_table), row)
        (owed,) = debts.due(tx, [debt.queue])
        operations.request_cancel(tx, pay(tx, owed))

    store.write_sync(cancelled)
    assert outside.turn() == Outcome.CANCELLED
    waits = store.read_sync(
        lambda tx: tx.execute(select(debt_table.c.not_before_us)).scalar_one() - tx.now_us()
    )
    assert 0 < waits <= debts.AGAIN_US

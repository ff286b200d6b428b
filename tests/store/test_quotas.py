# SPDX-License-Identifier: Apache-2.0
"""Charges, usage and limits: the usage is the sum of the charges, whatever happens in whatever order, and no race goes over a limit."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from sqlalchemy import func, select

from breezeblock.model.errors import OverQuota
from breezeblock.store import quotas
from breezeblock.store.database import Store
from breezeblock.store.schema import charges, usages
from breezeblock.store.schema import quotas as quota_rows
from breezeblock.store.transaction import Tx


def amounts(size: int, kind: str = "t") -> dict[str, int]:
    return {"volumes": 1, "gigabytes": size, f"volumes_{kind}": 1, f"gigabytes_{kind}": size}


def charge(store: Store, size: int, *, project: str = "p", kind: str = "t") -> str:
    id = str(uuid.uuid4())
    store.write_sync(lambda tx: quotas.charge(tx, project, id, amounts(size, kind), size=size))
    return id


def used(store: Store, project: str = "p") -> dict[str, int]:
    return {k: v for k, v in store.read_sync(lambda tx: quotas.used(tx, project)).items() if v}


def test_a_charge_counts_and_a_discharge_takes_it_back(store: Store) -> None:
    id, other = charge(store, 5), charge(store, 2, kind="other")
    assert used(store) == {
        "volumes": 2, "gigabytes": 7, "volumes_t": 1, "gigabytes_t": 5, "volumes_other": 1, "gigabytes_other": 2,
    }  # fmt: skip
    store.write_sync(lambda tx: quotas.discharge(tx, id))
    store.write_sync(lambda tx: quotas.discharge(tx, id))
    assert used(store) == amounts(2, "other")
    store.write_sync(lambda tx: quotas.discharge(tx, other))
    assert used(store) == {}
    assert store.read_sync(quotas.recount) == []


def test_over_quota_says_what_was_needed_and_left_and_changes_nothing(store: Store) -> None:
    store.write_sync(lambda tx: quotas.set_limits(tx, "p", {"gigabytes": 10}))
    charge(store, 8)
    with pytest.raises(OverQuota) as refused:
        charge(store, 3)
    assert (refused.value.needed, refused.value.had) == ("3 gigabytes", "2 left of 10")
    assert used(store) == amounts(8)
    charge(store, 2)
    with pytest.raises(OverQuota):
        charge(store, 1)


def test_one_volume_may_not_be_larger_than_its_own_limit(store: Store) -> None:
    store.write_sync(lambda tx: quotas.set_limits(tx, "p", {"per_volume_gigabytes": 4}))
    with pytest.raises(OverQuota, match="5G is larger"):
        charge(store, 5)
    charge(store, 4)
    assert used(store) == amounts(4)


def test_a_limit_per_type_counts_that_type_only(store: Store) -> None:
    store.write_sync(lambda tx: quotas.set_limits(tx, "p", {"volumes_t": 1}))
    charge(store, 1)
    with pytest.raises(OverQuota):
        charge(store, 1)
    charge(store, 1, kind="free")
    assert used(store)["volumes"] == 2


def test_limits_come_from_the_project_else_the_class_else_the_contract(store: Store) -> None:
    def limit(key: str, project: str = "p") -> int:
        return store.read_sync(lambda tx: quotas.limits(tx, project)).get(key, -1)

    assert (limit("volumes"), limit("volumes_t"), limit("per_volume_gigabytes")) == (10, -1, -1)
    store.write_sync(lambda tx: quotas.set_class_limits(tx, "default", {"volumes": 20, "snapshots": 30}))
    store.write_sync(lambda tx: quotas.set_limits(tx, "p", {"volumes": 5}))
    assert (limit("volumes"), limit("snapshots"), limit("volumes", "q")) == (5, 30, 20)
    store.write_sync(lambda tx: quotas.set_limits(tx, "r", {quotas.ANY: -1, "volumes": 3}))
    assert (limit("gigabytes", "r"), limit("volumes", "r")) == (-1, 3)
    store.write_sync(lambda tx: quotas.reset_limits(tx, "p"))
    assert limit("volumes") == 20


def test_an_extends_difference_is_folded_into_the_volumes_own_charge(store: Store) -> None:
    id = charge(store, 2)
    store.write_sync(
        lambda tx: quotas.charge(tx, "p", id, {"gigabytes": 3, "gigabytes_t": 3}, reason="extend")
    )
    assert used(store)["gigabytes"] == 5
    store.write_sync(lambda tx: quotas.fold(tx, id, "extend"))
    assert used(store) == amounts(5)
    rows = store.read_sync(lambda tx: tx.rows(select(charges)))
    assert {(r.key, r.reason, r.amount) for r in rows} == {(k, "", v) for k, v in amounts(5).items()}


def test_a_difference_under_a_type_that_was_renamed_is_not_lost(store: Store) -> None:
    id = charge(store, 2, kind="old")
    more = {"gigabytes": 1, "gigabytes_new": 1}
    store.write_sync(lambda tx: quotas.charge(tx, "p", id, more, reason="extend"))
    store.write_sync(lambda tx: quotas.fold(tx, id, "extend"))
    assert store.read_sync(quotas.recount) == []
    assert used(store)["gigabytes_new"] == 1
    store.write_sync(lambda tx: quotas.discharge(tx, id))
    assert used(store) == {}


def test_a_difference_that_is_taken_back_leaves_the_rest(store: Store) -> None:
    id = charge(store, 2)
    store.write_sync(lambda tx: quotas.charge(tx, "p", id, {"gigabytes": 3}, reason="extend"))
    store.write_sync(lambda tx: quotas.discharge(tx, id, reason="extend"))
    assert used(store) == amounts(2)


def test_many_at_once_never_go_over_the_limit(store: Store) -> None:
    """Ten want two GiB each, at once, of eleven: five get them."""
    store.write_sync(lambda tx: quotas.set_limits(tx, "p", {"gigabytes": 11, "volumes": -1}))
    start = threading.Barrier(10)
    granted, refused, broken = list[str](), list[OverQuota](), list[Exception]()

    def work() -> None:
        start.wait(20)
        try:
            granted.append(charge(store, 2))
        except OverQuota as error:
            refused.append(error)
        except Exception as error:
            broken.append(error)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert broken == []
    assert (len(granted), len(refused)) == (5, 5)
    assert used(store)["gigabytes"] == 10
    assert store.read_sync(quotas.recount) == []


def test_two_that_take_the_same_charge_back_at_once_subtract_it_once(store: Store) -> None:
    ids = [charge(store, 3, kind=f"k{n}") for n in range(6)]
    charge(store, 1)
    start = threading.Barrier(2)

    def work() -> None:
        start.wait(20)
        for id in ids:
            store.write_sync(lambda tx, id=id: quotas.discharge(tx, id))  # type: ignore[misc]

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert used(store) == amounts(1)


class Charging(RuleBasedStateMachine):
    """Random charges, extends, folds and discharges of a few projects; the cached usage is always the sum."""

    store: Store
    resources: Bundle[tuple[str, str]] = Bundle("resources")
    extended: Bundle[str] = Bundle("extended")

    def __init__(self) -> None:
        super().__init__()
        self.store.write_sync(_forget_all)
        self.limit = 12
        for project in "pq":
            self.store.write_sync(
                lambda tx, project=project: quotas.set_limits(tx, project, {"gigabytes": self.limit})  # type: ignore[misc]
            )

    @rule(target=resources, project=st.sampled_from("pq"), size=st.integers(1, 9), kind=st.sampled_from("ab"))
    def charge(self, project: str, size: int, kind: str) -> Any:
        id = str(uuid.uuid4())
        try:
            self.store.write_sync(lambda tx: quotas.charge(tx, project, id, amounts(size, kind)))
        except OverQuota:
            return multiple()
        return id, project

    @rule(target=extended, resource=resources, more=st.integers(1, 5))
    def extend(self, resource: tuple[str, str], more: int) -> Any:
        id, project = resource
        held = self.store.read_sync(
            lambda tx: tx.rows(
                select(charges.c.reason).where(charges.c.resource_id == id, charges.c.reason != "")
            )
        )
        if held:
            return multiple()
        try:
            self.store.write_sync(
                lambda tx: quotas.charge(
                    tx, project, id, {"gigabytes": more, "gigabytes_c": more}, reason="extend"
                )
            )
        except OverQuota:
            return multiple()
        return id

    @rule(id=consumes(extended), ends=st.booleans())
    def end_extend(self, id: str, ends: bool) -> None:
        if ends:
            self.store.write_sync(lambda tx: quotas.fold(tx, id, "extend"))
        else:
            self.store.write_sync(lambda tx: quotas.discharge(tx, id, reason="extend"))

    @rule(resource=consumes(resources))
    def discharge(self, resource: tuple[str, str]) -> None:
        self.store.write_sync(lambda tx: quotas.discharge(tx, resource[0]))

    @invariant()
    def usage_is_the_sum(self) -> None:
        assert self.store.read_sync(quotas.recount) == []

    @invariant()
    def nothing_is_over_its_limit(self) -> None:
        sums = self.store.read_sync(
            lambda tx: tx.rows(
                select(charges.c.project_id, func.sum(charges.c.amount))
                .where(charges.c.key == "gigabytes")
                .group_by(charges.c.project_id)
            )
        )
        assert all(0 <= total <= self.limit for _, total in sums)


def _forget_all(tx: Tx) -> None:
    for table in (charges, usages, quota_rows):
        tx.execute(table.delete())


@pytest.mark.slow
def test_usage_is_the_sum_of_charges_whatever_happens(sqlite_store: Store) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("ChargingHere", (Charging,), {"store": sqlite_store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        ),
    )
    assert sqlite_store.read_sync(quotas.recount) == []

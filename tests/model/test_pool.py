# SPDX-License-Identifier: Apache-2.0
"""A pool's names and numbers as the outside reads them."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.model.pool import PoolState
from breezeblock.model.units import GiB


def pool(**fields: Any) -> PoolState:
    return PoolState(**{"backend_id": "b1", "host": "node@fast#ssd", "backend_name": "fast", **fields})


def test_a_promise_is_provisioned_allocated_and_not_free() -> None:
    one = pool(
        total=100 * GiB, free=60 * GiB, allocated=40 * GiB, provisioned=50 * GiB, reserved_bytes=5 * GiB
    )
    assert (one.free_gib(), one.allocated_gib(), one.provisioned_gib(), one.total_gib()) == (55, 45, 55, 100)


def test_allocated_stands_in_for_provisioned() -> None:
    assert pool(allocated=7 * GiB).provisioned_gib() == 7
    assert pool(allocated=7 * GiB, provisioned=0).provisioned_gib() == 0


def test_words_for_sizes_stay_words() -> None:
    one = pool(total="infinite", free="unknown", reserved_bytes=GiB)
    assert (one.total_gib(), one.free_gib()) == ("infinite", "unknown")
    assert pool(free=None).free_gib() is None


@pytest.mark.parametrize(
    ("reference", "answers"),
    [
        ("node@fast#ssd", True),
        ("node@fast", True),
        ("b1", True),
        ("node@fast#hdd", False),
        ("node", False),
        ("", False),
    ],
)
def test_a_pool_answers_to_its_own_names(reference: str, answers: bool) -> None:
    assert pool().answers_to(reference) is answers


def test_the_host_string_comes_apart() -> None:
    assert (pool().host_name, pool().backend_host, pool().pool_name) == ("node", "node@fast", "ssd")


@pytest.mark.parametrize(
    ("reported", "spellings"),
    [
        ("iSCSI", ("iSCSI", "iscsi")),
        ("fc", ("FC", "fibre_channel", "fc")),
        ("NFS", ("NFS", "nfs")),
        ("nvmeof", ("NVMe-oF", "NVMeOF", "nvmeof")),
        ("nbd", ("nbd",)),
        (["a", "b"], ("a", "b")),
        (None, ()),
    ],
)
def test_a_protocol_has_all_its_spellings(reported: Any, spellings: tuple[str, ...]) -> None:
    assert pool(capabilities={"storage_protocol": reported}).protocols() == spellings


def test_facts_hold_the_drivers_own_words_but_never_let_them_replace_the_numbers() -> None:
    facts = pool(
        total=GiB, capabilities={"colour": "red", "total_capacity_gb": 999, "multiattach": True}
    ).facts()
    assert (facts["colour"], facts["total_capacity_gb"], facts["multiattach"]) == ("red", 1, True)
    assert facts["online_extend_support"] is True

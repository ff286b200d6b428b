# SPDX-License-Identifier: Apache-2.0
"""What a volume type may ask of a pool."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.scheduler.filters.capabilities import capabilities
from breezeblock.scheduler.policy import Policy
from tests.scheduler.place import pool, request

REPORTED = {
    "storage_protocol": "iSCSI",
    "disk": {"kind": "ssd", "rpm": {"least": 7200}},
    "colours": ["red", "green"],
    "replication_enabled": False,
    "multiattach": True,
    "nothing": None,
}


@pytest.mark.parametrize(
    ("specs", "passes"),
    [
        ({}, True),
        ({"volume_backend_name": "a"}, True),
        ({"volume_backend_name": "b"}, False),
        ({"capabilities:volume_backend_name": "a"}, True),
        ({"capabilities:disk:kind": "ssd"}, True),
        ({"capabilities:disk:kind": "<or> hdd <or> ssd"}, True),
        ({"capabilities:disk:rpm:least": ">= 7200"}, True),
        ({"capabilities:disk:rpm:least": ">= 7201"}, False),
        ({"capabilities:disk:missing": "x"}, False),
        ({"capabilities:disk:kind:deeper": "x"}, False),
        ({"missing": "x"}, False),
        ({"disk:kind": "hdd"}, True),
        (
            {"provisioning:type": "thin", "provisioning:min_vol_size": "3", "provisioning:max_vol_size": "4"},
            True,
        ),
        ({"RESKEY:availability_zones": "nowhere", "image_service:store_id": "x"}, True),
        ({"vendor:magic": "x"}, True),
        ({"colours": "green"}, True),
        ({"colours": "<in> gre"}, True),
        ({"colours": "blue"}, False),
        ({"storage_protocol": "iscsi"}, True),
        ({"storage_protocol": "iSCSI"}, True),
        ({"storage_protocol": "<or> FC <or> iSCSI"}, True),
        ({"storage_protocol": "FC"}, False),
        ({"multiattach": "<is> True"}, True),
        ({"replication_enabled": "<is> True"}, False),
        ({"replication_enabled": "<is> False"}, True),
        ({"cacheable": "<is> True"}, False),
        ({"nothing": "<is> False"}, False),
        ({"thin_provisioning_support": "<is> True"}, True),
        ({"free_capacity_gb": ">= 100"}, True),
        ({"volume_backend_name": "a", "multiattach": "<is> False"}, False),
    ],
)
def test_extra_specs(specs: dict[str, str], passes: bool) -> None:
    verdict = capabilities(request(extra_specs=specs), pool(capabilities=REPORTED), Policy())
    assert verdict.passed is passes, verdict


def test_a_refusal_names_the_key_and_both_values() -> None:
    verdict = capabilities(request(extra_specs={"volume_backend_name": "fast"}), pool(), Policy())
    assert verdict.detail == "the type wants volume_backend_name 'fast', it has 'a'"
    assert (verdict.needed, verdict.had) == ("fast", "a")


@pytest.mark.parametrize(
    ("online", "attached", "new_size", "passes"),
    [(False, True, 20, False), (False, False, 20, True), (True, True, 20, True), (False, True, None, True)],
)
def test_an_attached_volume_grows_only_where_that_is_supported(
    online: bool, attached: bool, new_size: Any, passes: bool
) -> None:
    wanted = request(attached=attached, new_size=new_size)
    there = pool(capabilities={"online_extend_support": online})
    assert capabilities(wanted, there, Policy()).passed is passes

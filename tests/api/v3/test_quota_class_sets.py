# SPDX-License-Identifier: Apache-2.0
"""Quota classes."""

from __future__ import annotations

import pytest

from tests.api import rows
from tests.api.asgi import Client
from tests.api.contract_views import QUOTAS
from tests.api.v3.test_quota_sets import PER_TYPE
from tests.api.v3.test_types import made

PATH = "/v3/os-quota-class-sets/"


def test_the_default_class_is_what_projects_have_that_nobody_changed(client: Client) -> None:
    shown = client.get(PATH + "default").json()["quota_class_set"]
    assert set(shown) == {"id"} | QUOTAS | PER_TYPE
    assert (shown["id"], shown["volumes"]) == ("default", 10)
    answer = client.put(PATH + "default", {"quota_class_set": {"volumes": 7, "gigabytes___DEFAULT__": "3"}})
    assert answer.status == 200
    assert set(answer.json()["quota_class_set"]) == QUOTAS | PER_TYPE
    quota = client.get(f"/v3/os-quota-sets/{rows.OTHER_PROJECT}").json()["quota_set"]
    assert (quota["volumes"], quota["gigabytes___DEFAULT__"]) == (7, 3)
    assert client.get(f"/v3/os-quota-sets/{rows.PROJECT}/defaults").json()["quota_set"]["volumes"] == 7


def test_another_class_is_nobodys(client: Client) -> None:
    assert client.put(PATH + "gold", {"quota_class_set": {"volumes": 7}}).status == 200
    assert client.get(PATH + "gold").json()["quota_class_set"]["volumes"] == 7
    assert client.get(f"/v3/os-quota-sets/{rows.PROJECT}").json()["quota_set"]["volumes"] == 10


@pytest.mark.parametrize(
    "body", [{}, None, {"mystery": 1}, {"volumes": -2}, {"volumes": "x"}, {"volumes": None}]
)
def test_limits_that_are_none_are_400(client: Client, body: object) -> None:
    assert client.put(PATH + "default", {"quota_class_set": body}).status == 400


def test_they_are_for_administrators(member: Client) -> None:
    assert member.get(PATH + "default").status == 403
    assert member.put(PATH + "default", {"quota_class_set": {"volumes": 1}}).status == 403


def test_a_types_limits_and_usage_follow_its_name(client: Client) -> None:
    kind = made(client, "gold")
    client.put(PATH + "default", {"quota_class_set": {"volumes_gold": 5}})
    client.put(f"/v3/os-quota-sets/{rows.PROJECT}", {"quota_set": {"gigabytes_gold": 50}})
    assert client.post("/v3/volumes", {"volume": {"size": 2, "volume_type": "gold"}}).status == 202
    assert client.put(f"/v3/types/{kind}", {"volume_type": {"name": "silver"}}).status == 200
    found = client.get(f"/v3/os-quota-sets/{rows.PROJECT}?usage=true").json()["quota_set"]
    assert found["volumes_silver"] == {"limit": 5, "in_use": 1, "reserved": 0}
    assert found["gigabytes_silver"] == {"limit": 50, "in_use": 2, "reserved": 0}
    assert not [key for key in found if key.endswith("_gold")]

# SPDX-License-Identifier: Apache-2.0
"""Quota sets and limits."""

from __future__ import annotations

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.contract_views import LIMITS, QUOTAS

PATH = f"/v3/os-quota-sets/{rows.PROJECT}"
PER_TYPE = {"volumes___DEFAULT__", "gigabytes___DEFAULT__", "snapshots___DEFAULT__"}


def test_show_and_defaults_have_every_key(reader: Client) -> None:
    for path in (PATH, PATH + "/defaults"):
        found = reader.get(path).json()["quota_set"]
        assert set(found) == {"id"} | QUOTAS | PER_TYPE
        assert (found["id"], found["volumes"], found["gigabytes"]) == (rows.PROJECT, 10, 1000)
        assert (found["per_volume_gigabytes"], found["volumes___DEFAULT__"]) == (-1, -1)


def test_usage_makes_each_value_three(reader: Client, store: Store) -> None:
    rows.volume(store, size=3)
    found = reader.get(PATH + "?usage=True").json()["quota_set"]
    assert found["gigabytes"] == {"limit": 1000, "in_use": 3, "reserved": 0}
    assert found["volumes___DEFAULT__"] == {"limit": -1, "in_use": 1, "reserved": 0}
    assert reader.get(PATH + "?usage=perhaps").status == 400


def test_another_projects_quota_is_for_administrators(client: Client, reader: Client) -> None:
    assert reader.get(f"/v3/os-quota-sets/{rows.OTHER_PROJECT}").status == 403
    assert client.get(f"/v3/os-quota-sets/{rows.OTHER_PROJECT}").status == 200


def test_an_update_answers_all_limits_without_the_id_and_a_delete_takes_them_back(
    client: Client, member: Client
) -> None:
    answer = client.put(
        PATH, {"quota_set": {"volumes": "7", "gigabytes___DEFAULT__": 5, "tenant_id": rows.PROJECT}}
    )
    assert answer.status == 200
    found = answer.json()["quota_set"]
    assert set(found) == QUOTAS | PER_TYPE
    assert (found["volumes"], found["gigabytes___DEFAULT__"], found["snapshots"]) == (7, 5, 10)
    assert member.put(PATH, {"quota_set": {"volumes": 1}}).status == 403
    gone = client.delete(PATH)
    assert (gone.status, gone.body) == (200, b"")
    assert client.get(PATH).json()["quota_set"]["volumes"] == 10


@pytest.mark.parametrize(
    "body",
    [
        {}, None, [], {"mystery": 1}, {"volumes": -2}, {"volumes": "x"}, {"volumes": 1.5}, {"volumes": None}, {"volumes": True},
        {"volumes": 2**31}, {"volumes_nothing": 1}, {"volumes": []},
    ],
)  # fmt: skip
def test_a_malformed_update_is_400_and_changes_nothing(client: Client, body: object) -> None:
    assert client.put(PATH, {"quota_set": body}).status == 400
    assert client.get(PATH).json()["quota_set"]["volumes"] == 10


def test_a_limit_below_the_usage_is_400_but_unlimited_is_not(client: Client, store: Store) -> None:
    rows.volume(store, size=3)
    assert client.put(PATH, {"quota_set": {"gigabytes": 2}}).status == 400
    assert client.put(PATH, {"quota_set": {"gigabytes": 3}}).status == 200
    assert client.put(PATH, {"quota_set": {"gigabytes": -1, "per_volume_gigabytes": 1}}).status == 200


def test_limits_tell_maxima_and_usage(reader: Client, client: Client, store: Store) -> None:
    rows.volume(store, size=3)
    limits = reader.get("/v3/limits").json()["limits"]
    assert limits["rate"] == []
    assert set(limits["absolute"]) == LIMITS
    assert (limits["absolute"]["maxTotalVolumes"], limits["absolute"]["totalGigabytesUsed"]) == (10, 3)
    assert all(
        not key.endswith("Used")
        for key in reader.as_token("nobody").get("/v3/limits").json()["limits"]["absolute"]
    )
    other = f"/v3/limits?project_id={rows.OTHER_PROJECT}"
    assert client.at("3.39").get(other).json()["limits"]["absolute"]["totalVolumesUsed"] == 0
    assert client.at("3.38").get(other).json()["limits"]["absolute"]["totalVolumesUsed"] == 1

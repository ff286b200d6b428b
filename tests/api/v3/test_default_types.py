# SPDX-License-Identifier: Apache-2.0
"""Default types of projects."""

from __future__ import annotations

import pytest

from tests.api import rows
from tests.api.asgi import Client
from tests.api.v3.test_types import made

PATH = f"/v3/default-types/{rows.PROJECT}"


def test_a_project_gets_its_own_default_and_the_others_everybodys(client: Client) -> None:
    kind = made(client, "gold")
    client = client.at("3.62")
    assert client.get(PATH).status == 404
    wanted = {"default_type": {"project_id": rows.PROJECT, "volume_type_id": kind}}
    answer = client.put(PATH, {"default_type": {"volume_type": "gold"}})
    assert (answer.status, answer.json()) == (200, wanted)
    assert client.get(PATH).json() == wanted
    assert client.get("/v3/default-types").json() == {"default_types": [wanted["default_type"]]}
    assert client.get("/v3/types/default").json()["volume_type"]["name"] == "gold"
    made_one = client.post("/v3/volumes", {"volume": {"size": 1}}).json()["volume"]
    assert made_one["volume_type"] == "gold"
    gone = client.delete(PATH)
    assert (gone.status, gone.body) == (204, b"")
    assert client.delete(PATH).status == 204
    assert client.get("/v3/types/default").json()["volume_type"]["name"] == "__DEFAULT__"


def test_a_type_that_is_a_default_is_not_deleted(client: Client) -> None:
    kind, other = made(client, "gold"), made(client, "silver")
    client = client.at("3.62")
    client.put(PATH, {"default_type": {"volume_type": kind}})
    assert client.delete(f"/v3/types/{kind}").status == 400
    client.put(PATH, {"default_type": {"volume_type": other}})
    assert client.delete(f"/v3/types/{kind}").status == 202


@pytest.mark.parametrize(
    "body", [{}, {"volume_type": "nothing"}, {"volume_type": ""}, {"volume_type": None}, {"more": 1}]
)
def test_a_default_that_is_no_type_is_400(client: Client, body: object) -> None:
    assert client.at("3.62").put(PATH, {"default_type": body}).status == 400


def test_they_are_for_administrators_from_3_62_on(client: Client, member: Client) -> None:
    assert client.at("3.61").get(PATH).status == 404
    assert member.at("3.62").get(PATH).status == 403
    assert member.at("3.62").put(PATH, {"default_type": {"volume_type": "__DEFAULT__"}}).status == 403

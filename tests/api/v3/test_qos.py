# SPDX-License-Identifier: Apache-2.0
"""QoS specs, and what a connection tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.model.qos import QosSpecs
from tests.api.asgi import Client
from tests.api.v3.test_types import UNKNOWN, made

PATH = "/v3/qos-specs"


def specs(client: Client, name: str = "fast", **more: Any) -> str:
    answer = client.post(PATH, {"qos_specs": {"name": name, **more}})
    assert answer.status == 200, answer
    return str(answer.json()["qos_specs"]["id"])


def names(client: Client, query: str = "") -> list[str]:
    return [one["name"] for one in client.get(f"{PATH}?sort=name:asc&{query}").json()["qos_specs"]]


def of_type(client: Client, kind: str) -> Any:
    return client.get(f"/v3/types/{kind}").json()["volume_type"]["qos_specs_id"]


def test_a_create_answers_the_specs_with_links_beside_them(client: Client) -> None:
    answer = client.post(PATH, {"qos_specs": {"name": " fast ", "read_iops_sec": "100"}})
    assert answer.status == 200
    document = answer.json()
    found = document["qos_specs"]
    assert set(document) == {"qos_specs", "links"}
    assert (found["name"], found["consumer"], found["specs"]) == (
        "fast",
        "back-end",
        {"read_iops_sec": "100"},
    )
    assert client.get(f"{PATH}/{found['id']}").json() == document


def test_a_name_that_exists_is_409(client: Client) -> None:
    specs(client)
    assert client.post(PATH, {"qos_specs": {"name": "fast"}}).status == 409


@pytest.mark.parametrize(
    "body",
    [
        {}, {"consumer": "both"}, {"name": " "}, {"name": "n" * 256}, {"name": "x", "consumer": "me"}, {"name": "x", "k": 1},
        {"name": "x", "k": None}, {"name": "x", "k": "v" * 256}, {"name": "x", "": "v"}, [], None, {"name": ["x"]},
    ],
)  # fmt: skip
def test_a_create_that_is_not_right_is_400(client: Client, body: Any) -> None:
    assert client.post(PATH, {"qos_specs": body}).status == 400
    assert names(client) == []


def test_a_list_filters_and_pages(client: Client) -> None:
    for name, consumer in (("a", "both"), ("b", "front-end"), ("c", "both")):
        specs(client, name, consumer=consumer)
    assert names(client) == ["a", "b", "c"]
    assert names(client, "consumer=both") == ["a", "c"]
    assert names(client, "name=b") == ["b"]
    page = client.get(f"{PATH}?sort=name:asc&limit=2").json()
    assert [one["name"] for one in page["qos_specs"]] == ["a", "b"]
    assert client.get(page["qos_specs_links"][0]["href"].partition("http://testserver")[2] or
                      "/" + page["qos_specs_links"][0]["href"].split("/", 3)[3]).json()["qos_specs"][0]["name"] == "c"  # fmt: skip


def test_an_update_merges_and_may_change_the_consumer(client: Client) -> None:
    id = specs(client, a="1", b="2")
    body = {"qos_specs": {"b": "3", "c": "4", "consumer": "both", "a": None}}
    answer = client.put(f"{PATH}/{id}", body)
    assert (answer.status, answer.json()) == (200, body)
    found = client.get(f"{PATH}/{id}").json()["qos_specs"]
    assert (found["consumer"], found["specs"]) == ("both", {"b": "3", "c": "4"})
    assert client.put(f"{PATH}/{id}", {"qos_specs": {"consumer": "me"}}).status == 400
    assert client.put(f"{PATH}/{UNKNOWN}", {"qos_specs": {"a": "1"}}).status == 404


def test_keys_are_deleted_all_or_none(client: Client) -> None:
    id = specs(client, a="1", b="2", c="3")
    assert client.put(f"{PATH}/{id}/delete_keys", {"keys": ["a", "x", "b"]}).status == 404
    assert client.get(f"{PATH}/{id}").json()["qos_specs"]["specs"] == {"a": "1", "b": "2", "c": "3"}
    assert client.put(f"{PATH}/{id}/delete_keys", {"keys": ["a", "b"]}).status == 202
    assert client.get(f"{PATH}/{id}").json()["qos_specs"]["specs"] == {"c": "3"}
    assert client.put(f"{PATH}/{id}/delete_keys", {"keys": ["c", "c"]}).status == 400
    assert client.put(f"{PATH}/{id}/delete_keys", {"keys": []}).status == 400


def test_a_type_has_one_set_of_specs(client: Client) -> None:
    id, other, kind = specs(client), specs(client, "slow"), made(client, "gold")
    assert client.get(f"{PATH}/{id}/associate?vol_type_id={kind}").status == 202
    assert client.get(f"{PATH}/{id}/associate?vol_type_id={kind}").status == 202, "it has them already"
    assert of_type(client, kind) == id
    assert client.get(f"{PATH}/{id}/associations").json() == {
        "qos_associations": [{"association_type": "volume_type", "name": "gold", "id": kind}]
    }
    assert client.get(f"{PATH}/{other}/associate?vol_type_id={kind}").status == 400
    assert client.get(f"{PATH}/{other}/disassociate?vol_type_id={kind}").status == 202
    assert of_type(client, kind) == id, "it has other specs than those"
    assert client.get(f"{PATH}/{id}/disassociate?vol_type_id={kind}").status == 202
    assert of_type(client, kind) is None
    for path in ("associate", f"associate?vol_type_id={UNKNOWN}", "disassociate"):
        assert client.get(f"{PATH}/{id}/{path}").status == (404 if "?" in path else 400)


def test_specs_that_types_have_are_deleted_only_by_force(client: Client) -> None:
    id, kind, second = specs(client), made(client, "gold"), made(client, "silver")
    for one in (kind, second):
        client.get(f"{PATH}/{id}/associate?vol_type_id={one}")
    assert client.delete(f"{PATH}/{id}").status == 400
    assert client.delete(f"{PATH}/{id}?force=false").status == 400
    assert client.delete(f"{PATH}/{id}?force=perhaps").status == 400
    assert client.delete(f"{PATH}/{id}?force=True").status == 202
    assert (of_type(client, kind), of_type(client, second)) == (None, None)
    assert client.get(f"{PATH}/{id}").status == 404
    assert client.delete(f"{PATH}/{id}").status == 404


def test_all_types_lose_the_specs_at_once(client: Client) -> None:
    id, kind = specs(client), made(client, "gold")
    client.get(f"{PATH}/{id}/associate?vol_type_id={kind}")
    assert client.get(f"{PATH}/{id}/disassociate_all").status == 202
    assert of_type(client, kind) is None
    assert client.delete(f"{PATH}/{id}").status == 202


def test_others_than_administrators_are_refused(member: Client) -> None:
    assert member.get(PATH).status == 403
    assert member.post(PATH, {"qos_specs": {"name": "x"}}).status == 403
    assert member.get(f"{PATH}/{UNKNOWN}/associate?vol_type_id=x").status == 403


@pytest.mark.parametrize(
    ("consumer", "given", "told"),
    [
        ("back-end", '{"read_iops_sec":"5"}', None),
        ("both", '{"read_iops_sec":"5"}', {"read_iops_sec": "5"}),
        ("front-end", '{"read_iops_sec_per_gb":"5"}', {"read_iops_sec": "50"}),
        (
            "front-end",
            '{"read_iops_sec_per_gb":"5","read_iops_sec_per_gb_min":"80"}',
            {"read_iops_sec": "80"},
        ),
        ("front-end", '{"total_bytes_sec_per_gb":"5","total_bytes_sec_max":"20"}', {"total_bytes_sec": "20"}),
        ("front-end", '{"read_iops_sec_max":"9","own":"x"}', {"read_iops_sec_max": "9", "own": "x"}),
        ("front-end", '{"read_iops_sec_per_gb":"many"}', {}),
    ],
)
def test_a_connection_tells_limits_for_the_volumes_size(
    consumer: str, given: str, told: dict[str, str] | None
) -> None:
    assert QosSpecs("i", "n", consumer, given, "", None).for_hypervisor(10) == told

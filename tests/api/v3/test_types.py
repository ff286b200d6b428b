# SPDX-License-Identifier: Apache-2.0
"""Volume types and extra specs."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from breezeblock.store import types
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client

UNKNOWN = "5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b"


def made(client: Client, name: str = "fast", **more: object) -> str:
    answer = client.post("/v3/types", {"volume_type": {"name": name, **more}})
    assert answer.status == 200, answer
    return str(answer.json()["volume_type"]["id"])


def test_a_create_is_200_and_lacks_the_qos_id(client: Client) -> None:
    answer = client.post("/v3/types", {"volume_type": {"name": " fast ", "extra_specs": {"k": "v"}}})
    assert answer.status == 200
    kind = answer.json()["volume_type"]
    assert set(kind) == {
        "id",
        "name",
        "description",
        "is_public",
        "extra_specs",
        "os-volume-type-access:is_public",
    }
    assert (kind["name"], kind["is_public"], kind["extra_specs"]) == ("fast", True, {"k": "v"})
    shown = client.get(f"/v3/types/{kind['id']}").json()["volume_type"]
    assert set(shown) == set(kind) | {"qos_specs_id"}


def test_a_name_that_exists_is_409(client: Client) -> None:
    made(client)
    again = client.post("/v3/types", {"volume_type": {"name": "fast"}})
    assert (again.status, again.fault[0]) == (409, "conflictingRequest")
    other = made(client, "slow")
    assert client.put(f"/v3/types/{other}", {"volume_type": {"name": "fast"}}).status == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": None},
        {"name": "n" * 256},
        {"name": "x", "extra_specs": {"k": 1}},
        {"name": "x", "more": 1},
    ],
)
def test_a_malformed_create_is_400(client: Client, body: object) -> None:
    assert client.post("/v3/types", {"volume_type": body}).status == 400


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": " "}, {"name": None}, {"is_public": "x"}, {"more": 1}]
)
def test_an_update_needs_something_valid_to_change(client: Client, body: object) -> None:
    assert client.put(f"/v3/types/{made(client)}", {"volume_type": body}).status == 400


def test_an_update_changes_what_is_given(client: Client) -> None:
    id = made(client)
    kind = client.put(
        f"/v3/types/{id}", {"volume_type": {"description": "text", "is_public": "false"}}
    ).json()["volume_type"]
    assert (kind["name"], kind["description"], kind["is_public"]) == ("fast", "text", False)


def test_types_are_for_administrators_to_change(member: Client) -> None:
    assert member.post("/v3/types", {"volume_type": {"name": "x"}}).status == 403
    assert member.delete(f"/v3/types/{UNKNOWN}").status == 403


def test_a_delete_is_202_and_refused_while_used_and_for_the_default(client: Client, store: Store) -> None:
    id = made(client)
    rows.volume(store, volume_type_id=id)
    assert client.delete(f"/v3/types/{id}").status == 400
    default = store.read_sync(types.default)
    assert client.delete(f"/v3/types/{default.id}").status == 400
    assert client.delete(f"/v3/types/{made(client, 'idle')}").status == 202
    assert client.delete(f"/v3/types/{UNKNOWN}").status == 404


def test_default_is_the_effective_default_type(client: Client) -> None:
    assert client.get("/v3/types/default").json()["volume_type"]["name"] == "__DEFAULT__"


def test_a_private_type_is_404_for_others_everywhere(client: Client, member: Client) -> None:
    id = made(client, "hidden", **{"os-volume-type-access:is_public": False})
    assert member.get(f"/v3/types/{id}").status == 404
    assert member.post("/v3/volumes", {"volume": {"size": 1, "volume_type": "hidden"}}).status == 404
    assert "hidden" not in [
        kind["name"] for kind in member.get("/v3/types?is_public=none").json()["volume_types"]
    ]
    assert [k["name"] for k in client.get("/v3/types?is_public=false").json()["volume_types"]] == ["hidden"]
    assert len(client.get("/v3/types?is_public=None").json()["volume_types"]) == 2
    assert client.get("/v3/types?is_public=perhaps").status == 400


def test_members_see_the_visible_specs_only(client: Client, member: Client) -> None:
    specs = {"multiattach": "<is> False", "volume_backend_name": "folder"}
    id = made(client, extra_specs=specs)
    assert client.get(f"/v3/types/{id}").json()["volume_type"]["extra_specs"] == specs
    seen = member.get(f"/v3/types/{id}").json()["volume_type"]
    assert seen["extra_specs"] == {"multiattach": "<is> False"}
    assert "qos_specs_id" not in seen
    assert member.get(f"/v3/types/{id}/extra_specs").json() == {"extra_specs": {"multiattach": "<is> False"}}
    assert member.get(f"/v3/types/{id}/extra_specs/volume_backend_name").status == 404
    wanted = quote("{'volume_backend_name': 'folder'}")
    assert member.at("3.52").get(f"/v3/types?extra_specs={wanted}").json() == {"volume_types": []}
    assert [
        k["id"] for k in client.at("3.52").get(f"/v3/types?extra_specs={wanted}").json()["volume_types"]
    ] == [id]
    assert client.at("3.52").get("/v3/types?extra_specs=x").status == 400
    assert member.at("3.51").get(f"/v3/types?extra_specs={wanted}").status == 400


def test_types_page(client: Client) -> None:
    for name in "abc":
        made(client, name)
    page = client.get("/v3/types?limit=2&sort=name:asc").json()
    assert [kind["name"] for kind in page["volume_types"]] == ["__DEFAULT__", "a"]
    href = page["volume_type_links"][0]["href"].removeprefix("http://cloud.example:8776")
    assert [kind["name"] for kind in client.get(href).json()["volume_types"]] == ["b", "c"]


def test_extra_specs_can_be_added_set_and_removed(client: Client) -> None:
    path = f"/v3/types/{made(client)}/extra_specs"
    added = client.post(path, {"extra_specs": {"a": "1", "scope:b": "2"}})
    assert (added.status, added.json()) == (200, {"extra_specs": {"a": "1", "scope:b": "2"}})
    changed = client.put(f"{path}/a", {"a": "3"})
    assert (changed.status, changed.json()) == (200, {"a": "3"})
    assert client.get(f"{path}/a").json() == {"a": "3"}
    assert client.delete(f"{path}/a").status == 202
    assert client.get(path).json() == {"extra_specs": {"scope:b": "2"}}
    assert client.get(f"{path}/a").status == client.delete(f"{path}/a").status == 404


@pytest.mark.parametrize("body", [None, {}, {"a": "1", "b": "2"}, {"b": "1"}, {"a": 1}, [], {"a": "x" * 256}])
def test_a_single_spec_takes_exactly_its_own_pair(client: Client, body: object) -> None:
    assert client.put(f"/v3/types/{made(client)}/extra_specs/a", body).status == 400


@pytest.mark.parametrize("specs", [None, [], {"a b": "1"}, {"a/b": "1"}, {"": "1"}, {"k" * 256: "1"}])
def test_malformed_specs_are_400(client: Client, specs: object) -> None:
    assert client.post(f"/v3/types/{made(client)}/extra_specs", {"extra_specs": specs}).status == 400


def test_the_specs_of_a_type_in_use_are_fixed(client: Client, store: Store) -> None:
    id = made(client, extra_specs={"a": "1"})
    rows.volume(store, volume_type_id=id)
    path = f"/v3/types/{id}/extra_specs"
    assert client.post(path, {"extra_specs": {"b": "1"}}).status == 400
    assert client.put(f"{path}/a", {"a": "2"}).status == 400
    assert client.delete(f"{path}/a").status == 400


def test_cacheable_and_multiattach_exclude_each_other(client: Client) -> None:
    path = f"/v3/types/{made(client, extra_specs={'multiattach': '<is> True'})}/extra_specs"
    assert client.post(path, {"extra_specs": {"cacheable": "<is> True"}}).status == 400


def test_the_default_type_keeps_its_name(client: Client) -> None:
    id = client.get("/v3/types/default").json()["volume_type"]["id"]
    assert client.put(f"/v3/types/{id}", {"volume_type": {"name": "other"}}).status == 400
    assert (
        client.put(f"/v3/types/{id}", {"volume_type": {"name": "__DEFAULT__", "description": "d"}}).status
        == 200
    )
    assert client.get("/v3/types/default").status == 200


@pytest.mark.parametrize("path", ["/v3/types?extra_specs=", "/v3/volumes?metadata="])
def test_a_filter_with_a_number_that_no_text_holds_is_400(client: Client, path: str) -> None:
    assert client.at("3.52").get(path + "{'a':0x" + "f" * 5000 + "}").status == 400

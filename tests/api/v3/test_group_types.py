# SPDX-License-Identifier: Apache-2.0
"""Group types and their specs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.asgi import Client
from tests.api.v3.test_types import UNKNOWN

PATH = "/v3/group_types"


@pytest.fixture
def admin(client: Client) -> Client:
    return client.at("3.11")


def made(admin: Client, name: str = "steady", **more: Any) -> str:
    answer = admin.post(PATH, {"group_type": {"name": name, **more}})
    assert answer.status == 202, answer
    return str(answer.json()["group_type"]["id"])


def test_a_type_is_created_shown_by_id_or_name_changed_and_deleted(admin: Client) -> None:
    answer = admin.post(PATH, {"group_type": {"name": " steady ", "group_specs": {"k": "v"}}})
    assert answer.status == 202
    kind = answer.json()["group_type"]
    assert set(kind) == {"id", "name", "description", "is_public", "group_specs"}
    assert (kind["name"], kind["is_public"], kind["group_specs"]) == ("steady", True, {"k": "v"})
    for key in (kind["id"], "steady"):
        assert admin.get(f"{PATH}/{key}").json() == {"group_type": kind}
    changed = admin.put(f"{PATH}/{kind['id']}", {"group_type": {"name": "calm", "is_public": "false"}})
    assert (changed.status, changed.json()["group_type"]["name"]) == (200, "calm")
    assert admin.delete(f"{PATH}/{kind['id']}").status == 202
    assert admin.get(f"{PATH}/{kind['id']}").status == 404
    assert admin.get(f"{PATH}/default").status == 404


def test_a_name_that_exists_is_409(admin: Client) -> None:
    made(admin)
    assert admin.post(PATH, {"group_type": {"name": "steady"}}).status == 409
    other = made(admin, "calm")
    assert admin.put(f"{PATH}/{other}", {"group_type": {"name": "steady"}}).status == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " "},
        {"name": None},
        {"name": "n" * 256},
        {"name": "x", "group_specs": {"k": 1}},
        {"name": "x", "more": 1},
    ],
)
def test_a_create_that_is_not_right_is_400(admin: Client, body: Any) -> None:
    assert admin.post(PATH, {"group_type": body}).status == 400
    assert admin.get(PATH).json() == {"group_types": []}


def test_an_update_needs_something(admin: Client) -> None:
    kind = made(admin)
    for body in ({}, {"description": None}, {"name": " "}):
        assert admin.put(f"{PATH}/{kind}", {"group_type": body}).status == 400
    assert admin.put(f"{PATH}/{UNKNOWN}", {"group_type": {"name": "x"}}).status == 404


def test_members_see_public_types_without_their_specs(admin: Client, member: Client) -> None:
    made(admin, "open", group_specs={"k": "v"})
    secret = made(admin, "secret", is_public=False)
    member = member.at("3.11")
    (seen,) = member.get(PATH).json()["group_types"]
    assert set(seen) == {"id", "name", "description", "is_public"}
    assert member.get(f"{PATH}/{secret}").status == 404
    assert [
        one["name"] for one in admin.get(f"{PATH}?is_public=none&sort=name:asc").json()["group_types"]
    ] == [
        "open",
        "secret",
    ]
    assert member.post(PATH, {"group_type": {"name": "x"}}).status == 403
    assert member.get(f"{PATH}/{seen['id']}/group_specs").status == 403


def test_specs_are_added_changed_and_removed(admin: Client) -> None:
    path = f"{PATH}/{made(admin)}/group_specs"
    answer = admin.post(path, {"group_specs": {"a": "1", "b": None}})
    assert (answer.status, answer.json()) == (202, {"group_specs": {"a": "1", "b": None}})
    assert admin.put(f"{path}/a", {"a": "2"}).json() == {"a": "2"}
    assert admin.put(f"{path}/a", {"b": "2"}).status == 400
    assert admin.get(f"{path}/a").json() == {"a": "2"}
    assert admin.delete(f"{path}/a").status == 202
    assert admin.delete(f"{path}/a").status == 404
    assert admin.get(path).json() == {"group_specs": {"b": None}}


def test_they_are_there_from_3_11_on(client: Client) -> None:
    assert client.at("3.10").get(PATH).status == 404

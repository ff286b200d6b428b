# SPDX-License-Identifier: Apache-2.0
"""Who may use a private type."""

from __future__ import annotations

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.v3.test_types import UNKNOWN, made


def act(client: Client, kind: str, action: str, project: object = rows.PROJECT) -> int:
    return client.post(f"/v3/types/{kind}/action", {action: {"project": project}}).status


def test_a_private_type_is_for_the_projects_that_were_given_access(client: Client, member: Client) -> None:
    kind = made(client, "secret", **{"os-volume-type-access:is_public": False})
    assert member.get(f"/v3/types/{kind}").status == 404
    assert act(client, kind, "addProjectAccess") == 202
    assert act(client, kind, "addProjectAccess") == 409
    assert member.get(f"/v3/types/{kind}").status == 200
    assert member.post("/v3/volumes", {"volume": {"size": 1, "volume_type": "secret"}}).status == 202
    assert client.get(f"/v3/types/{kind}/os-volume-type-access").json() == {
        "volume_type_access": [{"volume_type_id": kind, "project_id": rows.PROJECT}]
    }
    assert act(client, kind, "removeProjectAccess") == 202
    assert act(client, kind, "removeProjectAccess") == 404
    assert member.get(f"/v3/types/{kind}").status == 404
    assert member.post("/v3/volumes", {"volume": {"size": 1, "volume_type": "secret"}}).status == 404


def test_a_public_type_has_no_list(client: Client) -> None:
    kind = made(client, "open")
    assert client.get(f"/v3/types/{kind}/os-volume-type-access").status == 404
    assert act(client, kind, "addProjectAccess") == 400
    assert act(client, kind, "removeProjectAccess") == 400


def test_access_needs_a_type_a_project_and_an_administrator(client: Client, member: Client) -> None:
    kind = made(client, "secret", **{"os-volume-type-access:is_public": False})
    assert act(client, UNKNOWN, "addProjectAccess") == 404
    for project in ("", "p" * 256, None, 1):
        assert act(client, kind, "addProjectAccess", project) == 400
    assert act(member, kind, "addProjectAccess") == 403
    assert member.get(f"/v3/types/{kind}/os-volume-type-access").status == 403


def test_the_list_goes_with_the_type(client: Client, store: Store) -> None:
    kind = made(client, "secret", **{"os-volume-type-access:is_public": False})
    act(client, kind, "addProjectAccess")
    assert client.delete(f"/v3/types/{kind}").status == 202
    assert client.get(f"/v3/types/{kind}/os-volume-type-access").status == 404

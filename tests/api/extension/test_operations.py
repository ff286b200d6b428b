# SPDX-License-Identifier: Apache-2.0
"""The extension: operations, explain, attach and detach on a host, status."""

from __future__ import annotations

import dataclasses

import pytest

from breezeblock.api import app
from breezeblock.api.services import Services
from breezeblock.api.views.operation import redacted
from breezeblock.model.errors import Cancelled
from breezeblock.model.identity import Caller
from breezeblock.model.operation import Operation
from breezeblock.store import history
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.conftest import Engine

KEYS = {
    "id", "kind", "resource_type", "resource_id", "project_id", "request_id", "state", "queue", "lane", "task", "tasks", "pivot",
    "attempt", "round", "progress", "error", "created_at", "started_at", "finished_at", "held_by", "waits_for",
}  # fmt: skip


def begun(client: Client) -> tuple[str, str]:
    """(operation, volume) of a create."""
    answer = client.post("/v3/volumes", {"volume": {"size": 1}})
    return answer.headers["x-breezeblock-operation"], answer.json()["volume"]["id"]


def test_an_operation_is_listed_and_shown_with_its_timeline(client: Client) -> None:
    id, volume = begun(client)
    (listed,) = client.get("/v3/breezeblock/operations").json()["operations"]
    assert (set(listed), listed["id"], listed["kind"]) == (KEYS, id, "volume.create")
    shown = client.get(f"/v3/breezeblock/operations/{id}").json()["operation"]
    assert set(shown) == KEYS | {"timeline"}
    assert (shown["state"], shown["resource_id"], shown["tasks"]) == (
        "ready",
        volume,
        ["place", "allocate", "publish"],
    )
    assert shown["request_id"].startswith("req-")


def test_the_request_that_began_it_is_named(client: Client) -> None:
    answer = client.post("/v3/volumes", {"volume": {"size": 1}})
    id = answer.headers["x-breezeblock-operation"]
    shown = client.get(f"/v3/breezeblock/operations/{id}").json()["operation"]
    assert shown["request_id"] == answer.headers["x-openstack-request-id"]


def test_the_list_filters_and_pages(client: Client, store: Store) -> None:
    ids = [begun(client) for _ in range(3)]
    store.write_sync(lambda tx: history.finish(tx, ids[0][0], "succeeded", None))
    path = "/v3/breezeblock/operations"
    assert [o["id"] for o in client.get(f"{path}?resource_id={ids[1][1]}").json()["operations"]] == [
        ids[1][0]
    ]
    assert [o["id"] for o in client.get(f"{path}?state=succeeded").json()["operations"]] == [ids[0][0]]
    assert client.get(f"{path}?kind=volume.delete").json() == {"operations": []}
    page = client.get(f"{path}?limit=2").json()
    href = page["operations_links"][0]["href"].removeprefix("http://cloud.example:8776")
    rest = client.get(href).json()["operations"]
    assert [o["id"] for o in page["operations"] + rest] == [ids[2][0], ids[1][0], ids[0][0]]
    assert client.get(f"{path}?limit=0").json() == {"operations": []}
    assert client.get(f"{path}?limit=x").status == 400
    assert client.get(f"{path}?marker=x").status == 404


def test_others_see_their_own_operations_and_nothing_of_the_inside(
    client: Client, member: Client, stranger: Client
) -> None:
    id, _ = begun(client)
    shown = member.get(f"/v3/breezeblock/operations/{id}").json()["operation"]
    assert (shown["queue"], shown["held_by"]) == ("", None)
    assert stranger.get(f"/v3/breezeblock/operations/{id}").status == 404
    assert stranger.get("/v3/breezeblock/operations").json() == {"operations": []}


def test_a_long_poll_answers_when_the_operation_has_changed(
    client: Client, store: Store, engine: Engine
) -> None:
    id, _ = begun(client)
    engine.ends = lambda one: store.write_sync(lambda tx: history.finish(tx, one, "succeeded", None))
    shown = client.get(f"/v3/breezeblock/operations/{id}?wait=1.5").json()["operation"]
    assert (shown["state"], engine.waited) == ("succeeded", [id])
    client.get(f"/v3/breezeblock/operations/{id}?wait=30")
    assert engine.waited == [id]
    assert client.get(f"/v3/breezeblock/operations/{id}?wait=soon").status == 400
    assert client.get(f"/v3/breezeblock/operations/{id}?wait=-1").status == 400


@pytest.mark.parametrize("past_pivot", [False, True])
def test_a_cancel_is_202_and_past_the_pivot_409(client: Client, services: Services, past_pivot: bool) -> None:
    id, _ = begun(client)
    asked: list[str] = []

    async def cancel(caller: Caller, operation_id: str) -> Operation:
        if past_pivot:
            raise Cancelled("past the pivot at task allocate")
        asked.append(operation_id)
        return await services.store.read(lambda tx: history.get(tx, operation_id, None))

    able = Client(app.build(dataclasses.replace(services, cancel=cancel)), client.runner)
    answer = able.post(f"/v3/breezeblock/operations/{id}/cancel", {})
    if past_pivot:
        assert (answer.status, answer.fault[0]) == (409, "conflictingRequest")
        assert "allocate" in answer.fault[1]
    else:
        assert (answer.status, asked) == (202, [id])
        assert answer.json()["operation"]["id"] == id


def test_secrets_are_taken_out_of_a_timeline() -> None:
    data = {"auth_password": "x", "nested": [{"chap_secret": "y", "path": "/z"}], "token": None, "port": 3}
    assert redacted(data) == {
        "auth_password": "***",
        "nested": [{"chap_secret": "***", "path": "/z"}],
        "token": None,
        "port": 3,
    }


def test_explain_says_who_holds_a_volume(client: Client, store: Store) -> None:
    id, volume = begun(client)
    told = client.get(f"/v3/breezeblock/explain/{volume}").json()["explain"]
    assert set(told) == {
        "id", "resource_type", "status", "holder", "sentences", "placement", "operations", "attachments"
    }  # fmt: skip
    assert (told["holder"]["kind"], told["holder"]["id"]) == ("operation", id)
    assert any(id in sentence for sentence in told["sentences"])
    reserved = rows.volume(store, status="reserved", status_since="2026-11-21T07:43:43.000000")
    attachment = rows.attachment(store, reserved, instance_uuid="99999999-9999-4999-8999-999999999999")
    told = client.get(f"/v3/breezeblock/explain/{reserved}").json()["explain"]
    assert told["holder"] == {
        "kind": "client", "id": attachment, "since": "2026-11-21T07:43:43.000000",
        "who": "instance 99999999-9999-4999-8999-999999999999",
    }  # fmt: skip


def test_explain_names_no_holder_of_what_nobody_holds(client: Client, store: Store) -> None:
    volume = rows.volume(store)
    abandoned = rows.volume(store, status="extending")
    snapshot = rows.snapshot(store, volume)
    attachment = rows.attached(store, rows.volume(store))
    operation, _ = begun(client)
    store.write_sync(lambda tx: history.finish(tx, operation, "failed", None))
    said = {}
    for id in (volume, abandoned, snapshot, attachment, operation):
        told = client.get(f"/v3/breezeblock/explain/{id}").json()["explain"]
        assert told["holder"] is None, told
        said[id] = told["sentences"]
    assert "Nothing holds it: the status rests." in said[volume]
    assert any("none holds it" in sentence for sentence in said[abandoned])


def test_explain_knows_snapshots_attachments_and_operations(
    client: Client, stranger: Client, store: Store
) -> None:
    operation, volume = begun(client)
    snapshot = rows.snapshot(store, rows.volume(store))
    attachment = rows.attached(store, rows.volume(store))
    for id, kind in (
        (operation, "operation"),
        (snapshot, "snapshot"),
        (attachment, "attachment"),
        (volume, "volume"),
    ):
        assert client.get(f"/v3/breezeblock/explain/{id}").json()["explain"]["resource_type"] == kind
        assert stranger.get(f"/v3/breezeblock/explain/{id}").status == 404
    assert client.get("/v3/breezeblock/explain/nothing").status == 404


def test_a_volume_is_attached_to_this_services_host_and_detached(client: Client, store: Store) -> None:
    volume = rows.volume(store)
    answer = client.post("/v3/breezeblock/attach", {"volume_id": volume, "mode": "rw", "host": None})
    assert answer.status == 202
    attachment, operation = answer.json()["attachment"], answer.json()["operation"]
    assert (attachment["volume_id"], attachment["host"], attachment["status"]) == (volume, "here", "reserved")
    assert set(attachment) == {"id", "volume_id", "status", "device", "how", "host", "mode", "uri"}
    assert (operation["kind"], answer.headers["x-breezeblock-operation"]) == ("host.attach", operation["id"])
    shown = client.get(f"/v3/breezeblock/attachments/{attachment['id']}").json()["attachment"]
    assert shown == attachment
    detached = client.post("/v3/breezeblock/detach", {"volume_id": volume, "force": False})
    assert (detached.status, detached.json()["operation"]["kind"]) == (202, "host.detach")


def test_an_attach_to_a_host_that_nobody_serves_is_404_and_names_the_hosts_with_an_agent(
    client: Client, store: Store
) -> None:
    volume = rows.volume(store)
    answer = client.post("/v3/breezeblock/attach", {"volume_id": volume, "host": "elsewhere"})
    assert (answer.status, answer.json()["itemNotFound"]["error"]["had"]) == (404, "here")
    assert rows.seen(store, volume).status == "available"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("attach", {}, 400), ("attach", {"volume_id": "x"}, 404), ("attach", {"volume_id": "x", "mode": "w"}, 400),
        ("attach", {"volume_id": "x", "more": 1}, 400), ("detach", {}, 400), ("detach", {"volume_id": "x"}, 404),
        ("detach", {"volume_id": "x", "attachment_id": "y"}, 400), ("detach", {"attachment_id": "y"}, 404),
    ],
)  # fmt: skip
def test_a_malformed_or_unknown_attach_is_refused_with_a_remedy(
    client: Client, path: str, body: object, status: int
) -> None:
    answer = client.post(f"/v3/breezeblock/{path}", body)
    assert answer.status == status
    ((_, fault),) = answer.json().items()
    assert fault["error"]["remedy"]


def test_status_is_for_administrators(client: Client, member: Client, services: Services) -> None:
    async def status() -> dict[str, object]:
        return {"version": "0.1.0"}

    able = Client(app.build(dataclasses.replace(services, status=status)), client.runner)
    assert able.get("/v3/breezeblock/status").json() == {"status": {"version": "0.1.0"}}
    assert member.get("/v3/breezeblock/status").status == 403

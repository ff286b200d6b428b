# SPDX-License-Identifier: Apache-2.0
"""Volumes: create, update, delete, summary, and what refuses them."""

from __future__ import annotations

import json

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client


def test_a_create_answers_202_with_a_volume_that_is_creating_and_names_its_operation(client: Client) -> None:
    answer = client.post("/v3/volumes", {"volume": {"size": 1, "name": "one"}})
    assert answer.status == 202
    volume = answer.json()["volume"]
    assert (volume["status"], volume["size"], volume["name"]) == ("creating", 1, "one")
    operation = answer.headers["x-breezeblock-operation"]
    assert (
        client.get(f"/v3/breezeblock/operations/{operation}").json()["operation"]["resource_id"]
        == volume["id"]
    )


@pytest.mark.parametrize("size", [None, 0, -1, "", "x", 1.5, True, [], {}, 2**31, 10**30, "0", "99999999999"])
def test_a_size_that_is_no_size_is_400(client: Client, size: object) -> None:
    assert client.post("/v3/volumes", {"volume": {"size": size}}).status == 400


def test_a_size_may_be_written_as_digits(client: Client) -> None:
    assert client.post("/v3/volumes", {"volume": {"size": "3"}}).json()["volume"]["size"] == 3


def test_a_create_without_a_size_and_a_source_is_400(client: Client) -> None:
    assert client.post("/v3/volumes", {"volume": {}}).status == 400


@pytest.mark.parametrize("id", ["5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b", "not-an-id", "!"])
@pytest.mark.parametrize("key", ["snapshot_id", "source_volid", "volume_type", "backup_id"])
def test_an_unknown_or_malformed_id_inside_a_create_is_404(client: Client, key: str, id: str) -> None:
    answer = client.at("3.47").post("/v3/volumes", {"volume": {"size": 1, key: id}})
    assert (answer.status, answer.fault[0]) == (404, "itemNotFound")


def test_two_sources_are_400(client: Client, store: Store) -> None:
    volume = rows.volume(store)
    snapshot = rows.snapshot(store, volume)
    body = {"volume": {"size": 1, "source_volid": volume, "snapshot_id": snapshot}}
    assert client.post("/v3/volumes", body).status == 400


def test_a_size_below_the_source_is_400_and_charges_nothing(client: Client, store: Store) -> None:
    volume = rows.volume(store, size=3)
    before = client.get("/v3/limits").json()
    assert client.post("/v3/volumes", {"volume": {"size": 2, "source_volid": volume}}).status == 400
    assert client.get("/v3/limits").json() == before


def test_unknown_keys_are_dropped_below_3_53_and_refused_from_there(client: Client) -> None:
    body = {"volume": {"size": 1, "mystery": 1, "status": "creating"}}
    assert client.at("3.52").post("/v3/volumes", body).status == 202
    assert client.at("3.53").post("/v3/volumes", body).status == 400


def test_a_key_of_a_later_version_is_dropped_below_it(client: Client) -> None:
    body = {"volume": {"size": 1, "backup_id": "nothing-there"}}
    assert client.at("3.46").post("/v3/volumes", body).status == 202
    assert client.at("3.47").post("/v3/volumes", body).status == 404


def test_a_key_beside_the_volume_is_refused_but_for_scheduler_hints(client: Client) -> None:
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"same_host": []}}
    assert client.post("/v3/volumes", body).status == 202
    assert client.post("/v3/volumes", {"volume": {"size": 1}, "more": 1}).status == 400


@pytest.mark.parametrize(
    "hints",
    [
        {"same_host": "x"}, {"same_host": 5}, {"different_host": ["x"]}, {"local_to_instance": "x"}, {"query": 5},
        {"same_host": ["5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b", "5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b"]},
    ],
)  # fmt: skip
def test_a_known_hint_that_is_malformed_is_400(client: Client, hints: object) -> None:
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": hints}
    assert client.post("/v3/volumes", body).status == 400


def test_a_hint_that_nobody_knows_is_free(client: Client) -> None:
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {"rack": {"row": 5}, "same_host": None}}
    assert client.post("/v3/volumes", body).status == 202


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, "x", 1, {"volume": None}, {"volume": []}, {"volume": "x"}, {"volumes": {"size": 1}},
        {"volume": {"size": 1, "name": 1}}, {"volume": {"size": 1, "name": "n" * 256}},
        {"volume": {"size": 1, "description": "d" * 256}}, {"volume": {"size": 1, "metadata": []}},
        {"volume": {"size": 1, "metadata": {"": "v"}}}, {"volume": {"size": 1, "metadata": {"k" * 256: "v"}}},
        {"volume": {"size": 1, "metadata": {"k": "v" * 256}}}, {"volume": {"size": 1, "metadata": {"k": None}}},
        {"volume": {"size": 1, "metadata": {"k": 1}}}, {"volume": {"size": 1, "metadata": {"k\n": "v"}}},
        {"volume": {"size": 1, "multiattach": True}}, {"volume": {"size": 1, "multiattach": "maybe"}},
        {"volume": {"size": 1, "availability_zone": "nowhere"}}, {"volume": {"size": 1, "imageRef": "some-image"}},
        {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": []},
    ],
)  # fmt: skip
def test_a_malformed_create_is_400_and_makes_nothing(client: Client, body: object) -> None:
    answer = client.post("/v3/volumes", raw=json.dumps(body).encode())
    assert (answer.status, answer.fault[0]) == (400, "badRequest")
    assert client.get("/v3/volumes").json() == {"volumes": []}


def test_names_keep_their_unicode_and_255_characters(client: Client) -> None:
    name = "Grüße 你好 🧱" + "x" * 245
    assert len(name) == 255
    made = client.post("/v3/volumes", {"volume": {"size": 1, "name": name}}).json()["volume"]
    assert made["name"] == name


def test_over_quota_is_413_says_exceed_and_asks_not_to_wait(client: Client) -> None:
    client.put(f"/v3/os-quota-sets/{rows.PROJECT}", {"quota_set": {"volumes": 0}})
    answer = client.post("/v3/volumes", {"volume": {"size": 1}})
    assert (answer.status, answer.fault[0], answer.headers["retry-after"]) == (413, "overLimit", "0")
    assert "exceed" in answer.fault[1]
    assert answer.json()["overLimit"]["retryAfter"] == "0"


def test_another_projects_volume_is_404_for_everything(stranger: Client, store: Store) -> None:
    id = rows.volume(store)
    assert stranger.get(f"/v3/volumes/{id}").status == 404
    assert stranger.put(f"/v3/volumes/{id}", {"volume": {"name": "mine"}}).status == 404
    assert stranger.delete(f"/v3/volumes/{id}").status == 404
    assert stranger.post(f"/v3/volumes/{id}/action", {"os-reserve": None}).status == 404
    assert stranger.get(f"/v3/volumes/{id}/metadata").status == 404
    assert stranger.post("/v3/volumes", {"volume": {"source_volid": id}}).status == 404
    assert rows.seen(store, id).status == "available"


def test_an_update_changes_what_is_given_and_replaces_the_metadata(client: Client, store: Store) -> None:
    id = rows.volume(store, name="old", description="text", metadata='{"a":"1"}')
    answer = client.put(f"/v3/volumes/{id}", {"volume": {"display_name": "new", "metadata": {"b": "2"}}})
    volume = answer.json()["volume"]
    assert answer.status == 200
    assert (volume["name"], volume["description"], volume["metadata"]) == ("new", "text", {"b": "2"})


def test_an_update_without_a_known_key_is_400_from_3_53(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert client.at("3.52").put(f"/v3/volumes/{id}", {"volume": {"nothing": 1}}).status == 200
    assert client.at("3.53").put(f"/v3/volumes/{id}", {"volume": {}}).status == 400
    assert client.at("3.53").put(f"/v3/volumes/{id}", {"volume": {"nothing": 1}}).status == 400


def test_an_update_in_maintenance_is_400(client: Client, store: Store) -> None:
    id = rows.volume(store, status="maintenance")
    assert client.put(f"/v3/volumes/{id}", {"volume": {"name": "n"}}).status == 400


def test_a_delete_answers_202_and_the_volume_passes_through_deleting(client: Client, store: Store) -> None:
    id = rows.volume(store)
    answer = client.delete(f"/v3/volumes/{id}")
    assert (answer.status, answer.body) == (202, b"")
    assert "x-breezeblock-operation" in answer.headers
    assert client.get(f"/v3/volumes/{id}").json()["volume"]["status"] == "deleting"


def test_a_volume_that_was_never_placed_is_gone_at_once(client: Client, store: Store) -> None:
    id = rows.volume(store, status="error", placed=False)
    answer = client.delete(f"/v3/volumes/{id}")
    assert answer.status == 202
    assert "x-breezeblock-operation" not in answer.headers
    assert client.get(f"/v3/volumes/{id}").status == 404


@pytest.mark.parametrize(
    "status", ["creating", "attaching", "in-use", "deleting", "backing-up", "error_deleting"]
)
def test_a_delete_in_a_busy_status_is_400(client: Client, store: Store, status: str) -> None:
    id = rows.volume(store, status=status)
    assert client.delete(f"/v3/volumes/{id}").status == 400
    assert rows.seen(store, id).status == status


def test_a_delete_with_snapshots_needs_cascade(client: Client, store: Store) -> None:
    id = rows.volume(store)
    rows.snapshot(store, id)
    assert client.delete(f"/v3/volumes/{id}").status == 400
    assert client.delete(f"/v3/volumes/{id}?cascade=perhaps").status == 400
    assert client.delete(f"/v3/volumes/{id}?cascade=true").status == 202


def test_force_is_for_administrators_and_from_3_23(client: Client, member: Client, store: Store) -> None:
    id = rows.volume(store, status="error_deleting")
    assert client.at("3.22").delete(f"/v3/volumes/{id}?force=true").status == 400
    assert member.at("3.23").delete(f"/v3/volumes/{id}?force=true").status == 403
    assert client.at("3.23").delete(f"/v3/volumes/{id}?force=true").status == 202


def test_the_summary_counts_and_from_3_36_tells_the_metadata(client: Client, store: Store) -> None:
    rows.volume(store, size=2, metadata='{"k":"v"}')
    rows.volume(store, size=3, metadata='{"k":"w"}')
    assert client.at("3.11").get("/v3/volumes/summary").status == 404
    assert client.at("3.12").get("/v3/volumes/summary").json() == {
        "volume-summary": {"total_count": 2, "total_size": 5}
    }
    summary = client.at("3.36").get("/v3/volumes/summary").json()["volume-summary"]
    assert summary == {"total_count": 2, "total_size": 5, "metadata": {"k": ["v", "w"]}}


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/action")])
def test_an_empty_id_is_404(client: Client, method: str, path: str) -> None:
    assert client.ask(method, f"/v3/volumes/{path}", {"volume": {}}).status == 404


def test_a_status_of_the_inside_is_shown_as_its_mask(client: Client, store: Store) -> None:
    id = rows.volume(store, status="error_managing")
    assert client.get(f"/v3/volumes/{id}").json()["volume"]["status"] == "error"

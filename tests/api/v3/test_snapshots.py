# SPDX-License-Identifier: Apache-2.0
"""Snapshots: bodies by version, create, delete, lists, actions."""

from __future__ import annotations

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.contract_views import SNAPSHOT, SNAPSHOT_EXTENDED, fields


@pytest.mark.parametrize("minor", [0, 13, 14, 40, 41, 64, 65, 71])
def test_bodies_hold_exactly_the_fields_of_the_version(member: Client, store: Store, minor: int) -> None:
    volume = rows.volume(store)
    asker, own = member.at(f"3.{minor}"), fields(SNAPSHOT, minor)
    made = asker.post("/v3/snapshots", {"snapshot": {"volume_id": volume}})
    assert (made.status, set(made.json()["snapshot"])) == (202, own)
    id = made.json()["snapshot"]["id"]
    assert set(asker.get(f"/v3/snapshots/{id}").json()["snapshot"]) == own | SNAPSHOT_EXTENDED
    assert set(asker.put(f"/v3/snapshots/{id}", {"snapshot": {"name": "n"}}).json()["snapshot"]) == own
    assert set(asker.get("/v3/snapshots/detail").json()["snapshots"][0]) == own | SNAPSHOT_EXTENDED
    assert set(asker.get("/v3/snapshots").json()["snapshots"][0]) == fields(SNAPSHOT, 0)


def test_a_create_takes_the_volumes_size_and_charges_it(client: Client, store: Store) -> None:
    volume = rows.volume(store, size=3)
    body = {"snapshot": {"volume_id": volume, "display_name": "s", "metadata": {"k": "v"}}}
    made = client.post("/v3/snapshots", body).json()["snapshot"]
    assert (made["size"], made["name"], made["metadata"], made["status"]) == (3, "s", {"k": "v"}, "creating")
    assert client.get("/v3/limits").json()["limits"]["absolute"]["totalSnapshotsUsed"] == 1


def test_a_volume_in_use_needs_force_below_3_66_and_none_from_there(client: Client, store: Store) -> None:
    volume = rows.volume(store)
    rows.attached(store, volume)

    def take(version: str, **more: object) -> int:
        return client.at(version).post("/v3/snapshots", {"snapshot": {"volume_id": volume, **more}}).status

    assert take("3.65") == 400
    assert take("3.65", force=False) == 400
    assert take("3.65", force="True") == 202
    assert take("3.66") == 202
    assert take("3.66", force=True) == 202
    assert take("3.66", force=False) == 400


@pytest.mark.parametrize("status", ["creating", "error", "maintenance", "deleting"])
def test_a_volume_in_another_status_is_400(client: Client, store: Store, status: str) -> None:
    volume = rows.volume(store, status=status)
    assert client.post("/v3/snapshots", {"snapshot": {"volume_id": volume, "force": True}}).status == 400


@pytest.mark.parametrize("volume_id", ["5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b", "x", None])
def test_an_unknown_or_malformed_volume_is_404(client: Client, volume_id: object) -> None:
    assert client.post("/v3/snapshots", {"snapshot": {"volume_id": volume_id}}).status == 404


@pytest.mark.parametrize(
    "more",
    [
        {"name": "n" * 256},
        {"name": 1},
        {"description": "a\nb"},
        {"force": "perhaps"},
        {"metadata": []},
        {"mystery": 1},
    ],
)
def test_a_malformed_create_is_400(client: Client, store: Store, more: dict[str, object]) -> None:
    assert client.post("/v3/snapshots", {"snapshot": {"volume_id": rows.volume(store), **more}}).status == 400
    assert client.post("/v3/snapshots", {"snapshot": {}}).status == 400


def test_an_update_needs_something_to_change(client: Client, store: Store) -> None:
    id = rows.snapshot(store, rows.volume(store))
    assert client.put(f"/v3/snapshots/{id}", {"snapshot": {}}).status == 400
    changed = client.put(f"/v3/snapshots/{id}", {"snapshot": {"display_description": "text"}})
    assert (changed.status, changed.json()["snapshot"]["description"]) == (200, "text")


@pytest.mark.parametrize(
    ("status", "answer"),
    [("available", 202), ("error", 202), ("creating", 400), ("deleting", 400), ("restoring", 400)],
)
def test_a_delete_needs_a_snapshot_at_rest(client: Client, store: Store, status: str, answer: int) -> None:
    id = rows.snapshot(store, rows.volume(store), status=status)
    assert client.delete(f"/v3/snapshots/{id}").status == answer


def test_another_projects_snapshot_is_404(stranger: Client, store: Store) -> None:
    id = rows.snapshot(store, rows.volume(store))
    for answer in (
        stranger.get(f"/v3/snapshots/{id}"),
        stranger.delete(f"/v3/snapshots/{id}"),
        stranger.put(f"/v3/snapshots/{id}", {"snapshot": {"name": "n"}}),
        stranger.get(f"/v3/snapshots/{id}/metadata"),
    ):
        assert (answer.status, answer.fault[0]) == (404, "itemNotFound")


def test_lists_filter_page_and_count(client: Client, store: Store) -> None:
    volume, other = rows.volume(store), rows.volume(store)
    ids = [
        rows.snapshot(store, volume, name=f"s{n}", created_at=f"2026-11-21T07:43:{n:02}.000000")
        for n in range(3)
    ]
    rows.snapshot(store, other, metadata='{"k":"v"}')
    latest = client.at("3.45")
    page = latest.get(f"/v3/snapshots/detail?volume_id={volume}&limit=2&with_count=true").json()
    assert [one["id"] for one in page["snapshots"]] == ids[:0:-1]
    assert page["count"] == 3
    assert page["snapshots_links"][0]["rel"] == "next"
    assert [
        one["volume_id"] for one in latest.get("/v3/snapshots?metadata={'k':'v'}").json()["snapshots"]
    ] == [other]


def test_reset_status_and_force_delete_are_for_administrators(
    client: Client, member: Client, store: Store
) -> None:
    id = rows.snapshot(store, rows.volume(store))
    path = f"/v3/snapshots/{id}/action"
    assert member.post(path, {"os-reset_status": {"status": "error"}}).status == 403
    assert client.post(path, {"os-reset_status": {"status": "nothing"}}).status == 400
    assert client.post(path, {"os-reset_status": {}}).status == 400
    assert client.post(path, {"os-reset_status": {"status": "Error_Deleting"}}).status == 202
    assert client.get(f"/v3/snapshots/{id}").json()["snapshot"]["status"] == "error_deleting"
    assert client.post(path, {"os-force_delete": None}).status == 202
    assert client.get(f"/v3/snapshots/{id}").json()["snapshot"]["status"] == "deleting"


@pytest.mark.parametrize(
    ("now", "told", "answer"),
    [
        ("creating", {"status": "available", "progress": "90%"}, 202), ("creating", {"status": "error"}, 202),
        ("creating", {"status": "deleting"}, 400), ("deleting", {"status": "error_deleting"}, 202),
        ("available", {"status": "error"}, 400), ("creating", {"status": "creating", "progress": "101%"}, 400),
        ("creating", {"progress": "1%"}, 400), ("creating", {"status": "creating", "progress": "100%"}, 202),
    ],
)  # fmt: skip
def test_a_host_reports_a_snapshots_progress(
    member: Client, store: Store, now: str, told: object, answer: int
) -> None:
    id = rows.snapshot(store, rows.volume(store), status=now)
    assert member.post(f"/v3/snapshots/{id}/action", {"os-update_snapshot_status": told}).status == answer

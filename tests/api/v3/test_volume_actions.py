# SPDX-License-Identifier: Apache-2.0
"""Actions of a volume's owner and of administrators."""

from __future__ import annotations

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client


def act(client: Client, id: str, action: str, body: object = None) -> int:
    answer = client.post(f"/v3/volumes/{id}/action", {action: body})
    if answer.status == 202:
        assert answer.body == b""
    return answer.status


def test_reserve_and_unreserve_are_a_pair(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-reserve") == 202
    assert rows.seen(store, id).status == "attaching"
    assert act(client, id, "os-reserve") == 400
    assert act(client, id, "os-unreserve", {}) == 202
    assert rows.seen(store, id).status == "available"
    assert act(client, id, "os-unreserve") == 202


def test_a_multiattach_volume_in_use_can_be_reserved(client: Client, store: Store) -> None:
    id = rows.volume(store, multiattach=True)
    rows.attached(store, id)
    assert act(client, id, "os-reserve") == 202
    assert act(client, id, "os-unreserve") == 202
    assert rows.seen(store, id).status == "in-use"


def test_begin_and_roll_detaching_are_a_pair(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-begin_detaching") == 400
    rows.attached(store, id)
    assert act(client, id, "os-begin_detaching") == 202
    assert rows.seen(store, id).status == "detaching"
    assert act(client, id, "os-roll_detaching") == 202
    assert rows.seen(store, id).status == "in-use"
    assert act(client, id, "os-roll_detaching") == 202


def test_extend_takes_a_larger_size_and_charges_the_difference(client: Client, store: Store) -> None:
    id = rows.volume(store, size=2)
    for size in (2, 1, 0, -1, "x", None, 2**31, 2.5, True):
        assert act(client, id, "os-extend", {"new_size": size}) == 400, size
    assert rows.seen(store, id).status == "available"
    answer = client.post(f"/v3/volumes/{id}/action", {"os-extend": {"new_size": "5"}})
    assert answer.status == 202
    assert "x-breezeblock-operation" in answer.headers
    assert rows.seen(store, id).status == "extending"
    assert client.get("/v3/limits").json()["limits"]["absolute"]["totalGigabytesUsed"] == 5


def test_extend_over_quota_is_413_and_changes_nothing(client: Client, store: Store) -> None:
    id = rows.volume(store)
    answer = client.post(f"/v3/volumes/{id}/action", {"os-extend": {"new_size": 5000}})
    assert (answer.status, answer.fault[0]) == (413, "overLimit")
    assert rows.seen(store, id).status == "available"


def test_a_volume_in_use_is_extended_from_3_42(client: Client, store: Store) -> None:
    id = rows.volume(store)
    rows.attached(store, id)
    assert act(client.at("3.41"), id, "os-extend", {"new_size": 2}) == 400
    assert act(client.at("3.42"), id, "os-extend", {"new_size": 2}) == 202


@pytest.mark.parametrize("value", [True, "true", "YES", "1", "y", False, "off", "0"])
def test_bootable_takes_any_spelling_of_a_boolean(client: Client, store: Store, value: object) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-set_bootable", {"bootable": value}) == 200
    assert rows.seen(store, id).bootable is (value in (True, "true", "YES", "1", "y"))


@pytest.mark.parametrize("value", ["maybe", 1, None, [], ""])
def test_bootable_takes_nothing_else(client: Client, store: Store, value: object) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-set_bootable", {"bootable": value}) == 400
    assert act(client, id, "os-update_readonly_flag", {"readonly": value}) == 400


def test_readonly_is_for_a_volume_at_rest(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-update_readonly_flag", {"readonly": True}) == 202
    assert client.get(f"/v3/volumes/{id}").json()["volume"]["metadata"] == {"readonly": "True"}
    rows.attached(store, id)
    assert act(client, id, "os-update_readonly_flag", {"readonly": False}) == 400


def test_revert_goes_to_the_newest_snapshot_only(client: Client, store: Store) -> None:
    id = rows.volume(store)
    latest = client.at("3.40")
    assert act(latest, id, "revert", {"snapshot_id": None}) == 400
    old = rows.snapshot(store, id, created_at="2026-01-01T00:00:00.000000")
    new = rows.snapshot(store, id)
    assert act(latest, id, "revert", {"snapshot_id": old}) == 400
    assert act(latest, id, "revert", {"snapshot_id": new}) == 202
    assert rows.seen(store, id).status == "reverting"


def test_a_revert_of_a_busy_volume_is_409(client: Client, store: Store) -> None:
    id = rows.volume(store)
    snapshot = rows.snapshot(store, id)
    rows.attached(store, id)
    answer = client.at("3.40").post(f"/v3/volumes/{id}/action", {"revert": {"snapshot_id": snapshot}})
    assert (answer.status, answer.fault[0]) == (409, "conflictingRequest")


def test_image_metadata_can_be_set_shown_and_unset(client: Client, store: Store) -> None:
    id = rows.volume(store)
    path = f"/v3/volumes/{id}/action"
    assert client.post(path, {"os-set_image_metadata": {"metadata": {"os": "debian"}}}).json() == {
        "metadata": {"os": "debian"}
    }
    assert client.post(path, {"os-show_image_metadata": None}).json() == {"metadata": {"os": "debian"}}
    assert client.get(f"/v3/volumes/{id}").json()["volume"]["volume_image_metadata"] == {"os": "debian"}
    assert act(client, id, "os-unset_image_metadata", {"key": "os"}) == 200
    assert act(client, id, "os-unset_image_metadata", {"key": "os"}) == 404
    assert act(client, id, "os-set_image_metadata", {"metadata": {"k": "ü" * 65535}}) == 413


@pytest.mark.parametrize("action", ["os-reset_status", "os-force_delete", "os-force_detach"])
def test_administrators_actions_are_403_for_members(member: Client, store: Store, action: str) -> None:
    assert act(member, rows.volume(store), action, {"status": "error"}) == 403


def test_reset_status_writes_what_is_given_in_any_case(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-reset_status", {"status": "ERROR", "migration_status": "none"}) == 202
    assert rows.seen(store, id).status == "error"
    assert act(client, id, "os-reset_status", {"attach_status": "detached"}) == 202


@pytest.mark.parametrize(
    "body",
    [
        {}, None, {"status": ""}, {"status": None}, {"status": "nothing"}, {"status": "deleting"}, {"status": "in-use"},
        {"attach_status": "x"}, {"migration_status": "x"}, {"status": 1}, {"more": "error"},
    ],
)  # fmt: skip
def test_reset_status_refuses_what_is_no_status(client: Client, store: Store, body: object) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-reset_status", body) == 400
    assert rows.seen(store, id).status == "available"


def test_force_delete_takes_any_status_but_an_attached_volume(client: Client, store: Store) -> None:
    assert act(client, rows.volume(store, status="error_deleting"), "os-force_delete") == 202
    attached = rows.volume(store)
    rows.attached(store, attached)
    assert act(client, attached, "os-force_delete") == 400

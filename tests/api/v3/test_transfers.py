# SPDX-License-Identifier: Apache-2.0
"""A volume goes to another project."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.store import quotas
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.v3.test_types import UNKNOWN

PATHS = ("/v3/volume-transfers", "/v3/os-volume-transfer")
PATH = PATHS[0]


def offered(client: Client, volume: str, path: str = PATH, **more: Any) -> dict[str, Any]:
    answer = client.post(path, {"transfer": {"volume_id": volume, "name": " mine ", **more}})
    assert answer.status == 202, answer
    found: dict[str, Any] = answer.json()["transfer"]
    return found


def accept(client: Client, transfer: dict[str, Any], path: str = PATH, **more: Any) -> Any:
    return client.post(
        f"{path}/{transfer['id']}/accept", {"accept": {"auth_key": transfer["auth_key"], **more}}
    )


def status(client: Client, volume: str) -> str:
    return str(client.get(f"/v3/volumes/{volume}").json()["volume"]["status"])


@pytest.mark.parametrize("path", PATHS)
def test_an_offer_is_made_and_accepted_by_another_project(
    member: Client, stranger: Client, store: Store, path: str
) -> None:
    volume = rows.volume(store, size=3)
    snapshot = rows.snapshot(store, volume)
    made = offered(member, volume, path)
    assert (made["name"], made["volume_id"]) == ("mine", volume)
    assert status(member, volume) == "awaiting-transfer"
    assert member.delete(f"/v3/volumes/{volume}").status == 400
    answer = accept(stranger, made, path)
    assert answer.status == 202
    assert set(answer.json()["transfer"]) == {"id", "volume_id", "name", "links"}
    assert status(stranger, volume) == "available"
    assert stranger.get(f"/v3/snapshots/{snapshot}").status == 200
    for url in (f"/v3/volumes/{volume}", f"/v3/snapshots/{snapshot}", f"{path}/{made['id']}"):
        assert member.get(url).status == 404
    assert accept(stranger, made, path).status == 404


def test_the_usage_goes_with_the_volume_and_is_still_the_sum_of_the_charges(
    member: Client, stranger: Client, store: Store
) -> None:
    volume = member.post("/v3/volumes", {"volume": {"size": 3}}).json()["volume"]["id"]
    rows.status(store, volume, "available")
    made = offered(member, volume)
    assert accept(stranger, made).status == 202

    def used(project: str) -> dict[str, int]:
        return {k: v for k, v in store.read_sync(lambda tx: quotas.used(tx, project)).items() if v}

    assert used(rows.PROJECT) == {}
    assert used(rows.OTHER_PROJECT) == {
        "volumes": 1, "gigabytes": 3, "volumes___DEFAULT__": 1, "gigabytes___DEFAULT__": 3,
    }  # fmt: skip
    assert store.read_sync(quotas.recount) == []


def test_who_has_no_room_gets_nothing(member: Client, stranger: Client, store: Store) -> None:
    volume = member.post("/v3/volumes", {"volume": {"size": 3}}).json()["volume"]["id"]
    rows.status(store, volume, "available")
    made = offered(member, volume)
    for limit in ({"gigabytes": 2}, {"gigabytes": -1, "per_volume_gigabytes": 2}):
        store.write_sync(lambda tx, limit=limit: quotas.set_limits(tx, rows.OTHER_PROJECT, limit))  # type: ignore[misc]
        assert accept(stranger, made).status == 413
    assert status(member, volume) == "awaiting-transfer"
    assert store.read_sync(quotas.recount) == []


def test_the_key_is_told_once_and_stored_nowhere(member: Client, stranger: Client, store: Store) -> None:
    made = offered(member, rows.volume(store))
    shown = member.get(f"{PATH}/{made['id']}").json()["transfer"]
    assert "auth_key" not in shown
    assert made["auth_key"] not in str(store.read_sync(lambda tx: tx.rows(_everything())))
    for wrong in ("x", made["auth_key"][:-1], made["auth_key"].upper() + "x", 7):
        assert accept(stranger, made, auth_key=wrong).status == 400
    malformed: tuple[Any, ...] = ("", None, [], {}, "k" * 256)
    for one in malformed:
        assert accept(stranger, made, auth_key=one).status == 400
    assert accept(stranger, made).status == 202


def _everything() -> Any:
    from sqlalchemy import select

    from breezeblock.store.schema import transfers

    return select(transfers)


def test_an_offer_is_taken_back_by_its_project_only(member: Client, stranger: Client, store: Store) -> None:
    volume = rows.volume(store)
    made = offered(member, volume)
    assert stranger.delete(f"{PATH}/{made['id']}").status == 404
    assert stranger.get(f"{PATH}/{made['id']}").status == 404
    assert stranger.get(PATH).json()["transfers"] == []
    assert member.delete(f"{PATH}/{made['id']}").status == 202
    assert status(member, volume) == "available"
    assert accept(stranger, made).status == 404


def test_snapshots_may_stay(member: Client, stranger: Client, store: Store) -> None:
    volume = rows.volume(store)
    snapshot = rows.snapshot(store, volume)
    member, stranger = member.at("3.55"), stranger.at("3.55")
    made = offered(member, volume, no_snapshots=True)
    assert made["no_snapshots"] is True
    assert accept(stranger, made).status == 202
    assert member.get(f"/v3/snapshots/{snapshot}").status == 200
    assert stranger.get(f"/v3/snapshots/{snapshot}").status == 404


def test_snapshots_that_an_earlier_owner_kept_stay_his(
    member: Client, stranger: Client, store: Store
) -> None:
    volume = rows.volume(store)
    kept = rows.snapshot(store, volume)
    member, stranger = member.at("3.55"), stranger.at("3.55")
    assert accept(stranger, offered(member, volume, no_snapshots=True)).status == 202
    own = rows.snapshot(store, volume, project_id=rows.OTHER_PROJECT)
    assert accept(stranger, offered(stranger, volume)).status == 202
    assert member.get(f"/v3/snapshots/{kept}").status == 200
    assert stranger.get(f"/v3/snapshots/{kept}").status == 404
    assert stranger.get(f"/v3/snapshots/{own}").status == 200
    refused = stranger.delete(f"/v3/volumes/{volume}?cascade=true")
    assert refused.status == 400
    assert "belong to another project" in refused.fault[1]


def test_a_volume_that_left_its_offer_another_way_can_be_offered_again(
    client: Client, member: Client, stranger: Client, store: Store
) -> None:
    volume = rows.volume(store)
    stale = offered(member, volume)
    reset = client.post(f"/v3/volumes/{volume}/action", {"os-reset_status": {"status": "available"}})
    assert reset.status == 202
    assert accept(stranger, stale).status == 400
    again = offered(member, volume)
    assert member.get(f"{PATH}/{stale['id']}").status == 404
    assert accept(stranger, again).status == 202


@pytest.mark.parametrize("at", ["in-use", "error", "creating", "awaiting-transfer"])
def test_a_volume_that_is_not_available_is_not_offered(member: Client, store: Store, at: str) -> None:
    answer = member.post(PATH, {"transfer": {"volume_id": rows.volume(store, status=at)}})
    assert answer.status == 400
    assert member.get(PATH).json()["transfers"] == []


def test_a_volume_with_a_snapshot_at_work_is_not_offered(member: Client, store: Store) -> None:
    volume = rows.volume(store)
    rows.snapshot(store, volume, status="creating")
    assert member.post(PATH, {"transfer": {"volume_id": volume}}).status == 400
    assert status(member, volume) == "available"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"volume_id": None},
        {"volume_id": "x"},
        {"volume_id": UNKNOWN, "name": " "},
        {"volume_id": UNKNOWN, "more": 1},
    ],
)
def test_an_offer_that_is_not_right_is_400(member: Client, body: Any) -> None:
    for path in PATHS:
        assert member.post(path, {"transfer": body}).status == 400
    assert (
        member.at("3.54").post(PATH, {"transfer": {"volume_id": UNKNOWN, "no_snapshots": True}}).status == 400
    )
    assert member.post(PATHS[1], {"transfer": {"volume_id": UNKNOWN, "no_snapshots": True}}).status == 400
    assert member.post(PATH, {"transfer": {"volume_id": UNKNOWN}}).status == 404


def test_what_is_shown_grows_with_the_version(member: Client, store: Store) -> None:
    made = offered(member, rows.volume(store))
    base = {"id", "created_at", "name", "volume_id", "links"}
    for version, more in (
        ("3.0", set()),
        ("3.55", {"no_snapshots"}),
        ("3.57", {"no_snapshots", "source_project_id", "destination_project_id", "accepted"}),
    ):
        shown = member.at(version).get(f"{PATH}/{made['id']}").json()["transfer"]
        assert set(shown) == base | more
        assert member.at(version).get(f"{PATH}/detail").json()["transfers"] == [shown]
    assert set(member.get(PATH).json()["transfers"][0]) == {"id", "volume_id", "name", "links"}


def test_pages_work_from_3_59_on(member: Client, store: Store) -> None:
    ids = [offered(member, rows.volume(store))["id"] for _ in range(3)]
    assert [one["id"] for one in member.at("3.58").get(f"{PATH}?limit=1").json()["transfers"]] == ids
    page = member.at("3.59").get(f"{PATH}?limit=2&sort=created_at:asc").json()
    assert [one["id"] for one in page["transfers"]] == ids[:2]
    assert page["transfers_links"]


def test_a_reader_offers_and_accepts_nothing(reader: Client, member: Client, store: Store) -> None:
    volume = rows.volume(store)
    assert reader.post(PATH, {"transfer": {"volume_id": volume}}).status == 403
    made = offered(member, volume)
    assert accept(reader, made).status == 403
    assert reader.get(PATH).status == 200

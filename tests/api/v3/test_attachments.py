# SPDX-License-Identifier: Apache-2.0
"""Attachments (3.27): reserve, connect, complete, delete, and waiting for the connection."""

from __future__ import annotations

import pytest

from breezeblock.store import attachments, history, volumes
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.conftest import Engine
from tests.api.contract_views import ATTACHMENT, ATTACHMENT_SUMMARY

INSTANCE = "99999999-9999-4999-8999-999999999999"
CONNECTOR = {"host": "host1", "ip": "192.0.2.1"}


@pytest.fixture
def latest(member: Client) -> Client:
    return member.at("latest")


def connects(store: Store, engine: Engine) -> None:
    """From now on the engine connects what is asked for."""

    def end(operation_id: str) -> None:
        def write(tx: object) -> None:
            operation = history.get(tx, operation_id, None)  # type: ignore[arg-type]
            attachments.write(
                tx, operation.resource_id, attach_status="attaching", connector='{"host":"host1"}', operation_id=None,  # type: ignore[arg-type]
                connection='{"driver_volume_type":"nbd","path":"nbd://x"}', attach_time="2026-11-21T07:43:43.000000",
            )  # fmt: skip
            volumes.settle(tx, attachments.get(tx, operation.resource_id).volume_id, "attaching")  # type: ignore[arg-type]
            history.finish(tx, operation_id, "succeeded", None)  # type: ignore[arg-type]

        store.write_sync(write)

    engine.ends = end


def fails(store: Store, engine: Engine, error: dict[str, str]) -> None:
    engine.ends = lambda id: store.write_sync(lambda tx: history.finish(tx, id, "failed", error))


def test_a_create_answers_200_and_reserves_the_volume(latest: Client, store: Store) -> None:
    volume = rows.volume(store)
    answer = latest.post(
        "/v3/attachments", {"attachment": {"volume_uuid": volume, "instance_uuid": INSTANCE}}
    )
    assert answer.status == 200
    shown = answer.json()["attachment"]
    assert set(shown) == ATTACHMENT
    assert (shown["status"], shown["attach_mode"], shown["connection_info"]) == ("reserved", "null", {})
    assert (shown["attached_at"], shown["detached_at"], shown["instance"]) == ("", "", INSTANCE)
    assert rows.seen(store, volume).status == "reserved"


def test_a_mode_is_known_from_3_54(latest: Client, member: Client, store: Store) -> None:
    volume = rows.volume(store)
    body = {"attachment": {"volume_uuid": volume, "mode": "ro"}}
    assert member.at("3.53").post("/v3/attachments", body).status == 400
    assert latest.post("/v3/attachments", body).json()["attachment"]["attach_mode"] == "ro"
    assert latest.post("/v3/attachments", {"attachment": {"volume_uuid": volume, "mode": "wo"}}).status == 400


@pytest.mark.parametrize("mode", ["rw", "ro", None])
def test_a_readonly_volume_forces_the_mode(latest: Client, store: Store, mode: str | None) -> None:
    volume = rows.volume(store, admin_metadata='{"readonly":"True"}')
    answer = latest.post("/v3/attachments", {"attachment": {"volume_uuid": volume, "mode": mode}})
    assert (answer.status, answer.json()["attachment"]["attach_mode"]) == (200, "ro")


@pytest.mark.parametrize("status", ["creating", "in-use", "deleting", "error", "error_extending"])
def test_a_volume_that_is_not_free_is_400(latest: Client, store: Store, status: str) -> None:
    volume = rows.volume(store, status=status)
    assert latest.post("/v3/attachments", {"attachment": {"volume_uuid": volume}}).status == 400


@pytest.mark.parametrize("volume", ["5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b", "x"])
def test_an_unknown_or_malformed_volume_is_404(latest: Client, volume: str) -> None:
    assert latest.post("/v3/attachments", {"attachment": {"volume_uuid": volume}}).status == 404


@pytest.mark.parametrize(
    "more",
    [
        {"instance_uuid": "x"},
        {"connector": []},
        {"mystery": 1},
        {"volume_uuid": None},
        {"mode": None, "connector": "x"},
    ],
)
def test_a_malformed_create_is_400(latest: Client, store: Store, more: dict[str, object]) -> None:
    assert (
        latest.post("/v3/attachments", {"attachment": {"volume_uuid": rows.volume(store), **more}}).status
        == 400
    )


def test_an_update_with_a_connector_waits_and_answers_the_connection(
    latest: Client, store: Store, engine: Engine
) -> None:
    volume = rows.volume(store)
    id = latest.post("/v3/attachments", {"attachment": {"volume_uuid": volume}}).json()["attachment"]["id"]
    connects(store, engine)
    answer = latest.put(f"/v3/attachments/{id}", {"attachment": {"connector": CONNECTOR}})
    assert answer.status == 200
    assert answer.json()["attachment"]["connection_info"] == {"driver_volume_type": "nbd", "path": "nbd://x"}
    assert engine.waited == [answer.headers["x-breezeblock-operation"]]


def test_a_create_with_a_connector_waits_too(latest: Client, store: Store, engine: Engine) -> None:
    connects(store, engine)
    body = {"attachment": {"volume_uuid": rows.volume(store), "connector": CONNECTOR}}
    answer = latest.post("/v3/attachments", body)
    assert (answer.status, answer.json()["attachment"]["status"]) == (200, "attaching")


def test_a_connection_that_takes_too_long_is_504_and_names_the_operation(
    latest: Client, store: Store, engine: Engine
) -> None:
    body = {"attachment": {"volume_uuid": rows.volume(store), "connector": CONNECTOR}}
    answer = latest.post("/v3/attachments", body)
    assert (answer.status, answer.fault[0]) == (504, "computeFault")
    assert engine.waited[0] in answer.fault[1]


def test_a_repeated_request_joins_the_running_operation(latest: Client, store: Store, engine: Engine) -> None:
    id = rows.attachment(store, rows.volume(store, status="reserved"))
    for _ in range(2):
        assert latest.put(f"/v3/attachments/{id}", {"attachment": {"connector": CONNECTOR}}).status == 504
    assert engine.waited[0] == engine.waited[1]


def test_another_connector_does_not_join_the_running_operation(
    latest: Client, store: Store, engine: Engine
) -> None:
    id = rows.attachment(store, rows.volume(store, status="reserved"))
    assert latest.put(f"/v3/attachments/{id}", {"attachment": {"connector": CONNECTOR}}).status == 504
    answer = latest.put(f"/v3/attachments/{id}", {"attachment": {"connector": {"host": "host2"}}})
    assert (answer.status, answer.fault[0]) == (409, "conflictingRequest")
    assert engine.waited[0] in answer.fault[1]
    assert len(engine.waited) == 1


def test_a_connection_that_fails_is_the_error_it_ended_with(
    latest: Client, store: Store, engine: Engine
) -> None:
    id = rows.attachment(store, rows.volume(store, status="reserved"))
    fails(store, engine, {"code": "host.program-failed", "message": "it broke", "remedy": "Mend it."})
    answer = latest.put(f"/v3/attachments/{id}", {"attachment": {"connector": CONNECTOR}})
    assert (answer.status, answer.fault[0]) == (500, "computeFault")
    assert "it broke" in answer.fault[1]


@pytest.mark.parametrize(
    "body", [{}, {"attachment": {}}, {"attachment": {"connector": {}}}, {"attachment": {"connector": None}}]
)
def test_an_update_needs_a_connector(latest: Client, store: Store, body: object) -> None:
    id = rows.attachment(store, rows.volume(store, status="reserved"))
    assert latest.put(f"/v3/attachments/{id}", body).status == 400


def test_a_second_connection_of_an_exclusive_volume_is_409(latest: Client, store: Store) -> None:
    volume = rows.volume(store)
    rows.attached(store, volume, connection='{"driver_volume_type":"nbd"}', connector='{"host":"host1"}')
    second = rows.attachment(store, volume)
    answer = latest.put(f"/v3/attachments/{second}", {"attachment": {"connector": CONNECTOR}})
    assert (answer.status, answer.fault[0]) == (409, "conflictingRequest")


def test_complete_is_204_from_3_44_and_the_volume_is_in_use(member: Client, store: Store) -> None:
    volume = rows.volume(store, status="attaching")
    id = rows.attachment(store, volume, attach_status="attaching", connection='{"driver_volume_type":"nbd"}')
    path = f"/v3/attachments/{id}/action"
    assert member.at("3.43").post(path, {"os-complete": None}).status == 404
    answer = member.at("3.44").post(path, {"os-complete": None})
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    seen = rows.seen(store, volume)
    assert (seen.status, seen.attach_status) == ("in-use", "attached")


def test_a_delete_answers_what_remains(latest: Client, store: Store) -> None:
    volume = rows.volume(store, multiattach=True)
    stays = rows.attached(store, volume)
    goes = rows.attachment(store, volume)
    answer = latest.delete(f"/v3/attachments/{goes}")
    assert answer.status == 200
    (left,) = answer.json()["attachments"]
    assert (left["id"], set(left)) == (stays, ATTACHMENT_SUMMARY)
    assert latest.get(f"/v3/attachments/{goes}").status == 404


def test_the_last_one_gone_makes_the_volume_available(latest: Client, store: Store) -> None:
    volume = rows.volume(store, status="reserved")
    id = rows.attachment(store, volume)
    assert latest.delete(f"/v3/attachments/{id}").json() == {"attachments": []}
    assert rows.seen(store, volume).status == "available"


def test_lists_are_of_the_project_and_filter(client: Client, latest: Client, store: Store) -> None:
    volume, theirs = rows.volume(store), rows.volume(store, project_id=rows.OTHER_PROJECT)
    id = rows.attachment(store, volume, instance_uuid=INSTANCE)
    other = rows.attachment(store, theirs, project_id=rows.OTHER_PROJECT)
    (listed,) = latest.get("/v3/attachments").json()["attachments"]
    assert (listed["id"], set(listed)) == (id, ATTACHMENT_SUMMARY)
    assert set(latest.get("/v3/attachments/detail").json()["attachments"][0]) == ATTACHMENT
    everything = client.at("latest").get("/v3/attachments?all_tenants=1").json()["attachments"]
    assert {one["id"] for one in everything} == {id, other}
    for query in (
        f"volume_id={volume}",
        f"instance_id={INSTANCE}",
        "status=reserved",
        "attach_status=reserved",
    ):
        assert [one["id"] for one in latest.get(f"/v3/attachments?{query}").json()["attachments"]] == [id], (
            query
        )
    assert latest.get("/v3/attachments?status=attached").json() == {"attachments": []}
    assert latest.get(f"/v3/attachments/{other}").status == 404

# SPDX-License-Identifier: Apache-2.0
"""What there is besides people's volumes: services, pools, zones, extensions, messages."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.operations.placement import state_of
from breezeblock.scheduler.filters.service import service
from breezeblock.scheduler.policy import Policy
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.store import messages, pools, services
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.contract_views import MESSAGE, SERVICE, SERVICE_VOLUME, fields


@pytest.fixture
def beating(store: Store) -> None:
    def beat(tx: object) -> None:
        services.beat(tx, "cinder-scheduler", "store1", availability_zone="nova")  # type: ignore[arg-type]
        services.beat(tx, "cinder-volume", "store1@folder", availability_zone="nova", backend_id=rows.BACKEND)  # type: ignore[arg-type]

    store.write_sync(beat)


@pytest.mark.usefixtures("beating")
@pytest.mark.parametrize("minor", [0, 6, 7, 48, 49, 71])
def test_services_hold_exactly_the_fields_of_the_version(client: Client, minor: int) -> None:
    scheduler, volume = client.at(f"3.{minor}").get("/v3/os-services").json()["services"]
    assert set(scheduler) == fields(SERVICE, minor)
    assert set(volume) == fields(SERVICE, minor) | fields(SERVICE_VOLUME, minor)
    assert (volume["host"], volume["state"], volume["status"]) == ("store1@folder", "up", "enabled")


@pytest.mark.usefixtures("beating")
def test_services_filter_by_host_and_binary_and_are_for_administrators(
    client: Client, member: Client
) -> None:
    assert member.get("/v3/os-services").status == 403
    assert len(client.get("/v3/os-services?binary=cinder-volume").json()["services"]) == 1
    assert len(client.get("/v3/os-services?host=store1").json()["services"]) == 2
    assert client.get("/v3/os-services?host=store9").json() == {"services": []}


REQUEST = PlacementRequest(volume_id="v", size=1, project_id="p", type_name="t", extra_specs={})
WHICH = {"host": "store1@folder", "binary": "cinder-volume"}


def switched(client: Client, how: str, **more: object) -> Any:
    return client.put(f"/v3/os-services/{how}", {**WHICH, **more})


@pytest.mark.usefixtures("beating")
def test_nothing_is_placed_on_the_backend_of_a_disabled_service(client: Client, store: Store) -> None:
    def placeable() -> bool:
        (pool,) = store.read_sync(pools.page)
        return service(REQUEST, state_of(pool), Policy()).passed

    assert placeable()
    answer = switched(client, "disable-log-reason", disabled_reason=" disk ")
    assert (answer.status, answer.json()) == (
        200,
        {"host": WHICH["host"], "service": "cinder-volume", "binary": "cinder-volume", "status": "disabled",
         "disabled": True, "disabled_reason": "disk"},
    )  # fmt: skip
    _, volume = client.get("/v3/os-services").json()["services"]
    assert (volume["status"], volume["disabled_reason"]) == ("disabled", "disk")
    assert not placeable()
    answer = switched(client, "enable")
    assert (answer.json()["status"], answer.json()["disabled"]) == ("enabled", False)
    _, volume = client.get("/v3/os-services").json()["services"]
    assert (volume["status"], volume["disabled_reason"]) == ("enabled", None)
    assert placeable()
    assert switched(client, "disable").json()["disabled"] is True
    assert not placeable()


@pytest.mark.usefixtures("beating")
def test_a_frozen_backend_gets_nothing_until_it_is_thawed(client: Client, store: Store) -> None:
    where = {"host": WHICH["host"]}
    assert client.put("/v3/os-services/thaw", where).status == 400
    answer = client.put("/v3/os-services/freeze", where)
    assert (answer.status, answer.body) == (200, b"")
    assert client.put("/v3/os-services/freeze", where).status == 400
    _, volume = client.get("/v3/os-services").json()["services"]
    assert volume["frozen"] is True
    (pool,) = store.read_sync(pools.page)
    assert not service(REQUEST, state_of(pool), Policy()).passed
    assert client.put("/v3/os-services/thaw", where).status == 200
    (pool,) = store.read_sync(pools.page)
    assert service(REQUEST, state_of(pool), Policy()).passed


@pytest.mark.usefixtures("beating")
@pytest.mark.parametrize(
    ("how", "body", "status"),
    [
        ("enable", {"host": "store9", "binary": "cinder-volume"}, 404),
        ("enable", {"host": "store1@folder"}, 400),
        ("enable", {"host": "store1@folder", "service": "cinder-volume"}, 200),
        ("disable", {"binary": "cinder-volume"}, 400),
        ("disable", {"host": "a b", "binary": "cinder-volume"}, 400),
        ("disable-log-reason", WHICH, 400),
        ("disable-log-reason", {**WHICH, "disabled_reason": " "}, 400),
        ("freeze", {}, 400),
        ("freeze", {"host": "store9@x"}, 400),
        ("freeze", {"host": "store1"}, 400),
        ("freeze", {"cluster": "c"}, 400),
    ],
)
def test_a_service_is_named_exactly(client: Client, how: str, body: dict[str, str], status: int) -> None:
    assert client.put(f"/v3/os-services/{how}", body).status == status


def test_services_are_switched_by_administrators(member: Client) -> None:
    for how in ("enable", "disable", "freeze", "thaw"):
        assert switched(member, how).status == 403


@pytest.mark.usefixtures("beating")
def test_a_host_tells_what_projects_have_there(client: Client, member: Client, store: Store) -> None:
    assert member.get("/v3/os-hosts").status == 403
    volume = rows.volume(store, size=3, backend_id=rows.BACKEND, pool="pool")
    rows.snapshot(store, volume)
    (host,) = [row for row in client.get("/v3/os-hosts").json()["hosts"] if row["service"] == "cinder-volume"]
    assert set(host) == {"host_name", "service", "zone", "service-status", "service-state", "last-update"}
    assert (host["service-status"], host["service-state"]) == ("available", "enabled")
    total, mine = client.get("/v3/os-hosts/store1@folder").json()["host"]
    assert (total["resource"]["project"], mine["resource"]["project"]) == ("(total)", rows.PROJECT)
    for one in (total["resource"], mine["resource"]):
        assert (one["volume_count"], one["total_volume_gb"], one["snapshot_count"]) == ("1", "3", "1")
    assert client.get("/v3/os-hosts/store9@folder").status == 404
    assert client.put("/v3/os-hosts/store1@folder", {"status": "disable"}).json() == {
        "host": "store1@folder",
        "status": "disabled",
    }
    assert [row["service"] for row in client.get("/v3/os-hosts").json()["hosts"]] == ["cinder-scheduler"]
    assert client.put("/v3/os-hosts/store1@folder", {"status": "perhaps"}).status == 400


def test_a_backend_tells_what_it_can_do(client: Client, member: Client) -> None:
    assert member.get("/v3/capabilities/store1@folder").status == 403
    for host in ("store1@folder", "store1@folder%23pool"):
        found = client.get(f"/v3/capabilities/{host}").json()
        assert (found["volume_backend_name"], found["storage_protocol"]) == ("folder", "nbd")
        assert {one["type"] for one in found["properties"].values()} == {"boolean"}
    assert client.get("/v3/capabilities/store9@folder").status == 404


def test_there_are_no_clusters(client: Client, member: Client) -> None:
    client = client.at("3.7")
    for path in ("/v3/clusters", "/v3/clusters/detail?is_up=true"):
        assert client.get(path).json() == {"clusters": []}
    assert client.get("/v3/clusters?mystery=1").status == 400
    assert client.get("/v3/clusters?frozen=1").status == 400
    assert client.at("3.26").get("/v3/clusters?frozen=1").status == 200
    assert client.get("/v3/clusters/one").status == 404
    for how in ("enable", "disable"):
        assert client.put(f"/v3/clusters/{how}", {"name": "one"}).status == 404
        assert client.put(f"/v3/clusters/{how}", {}).status == 400
    assert member.at("3.7").get("/v3/clusters").status == 403


def test_pools_name_the_backends_and_with_detail_their_capabilities(client: Client, member: Client) -> None:
    assert member.get("/v3/scheduler-stats/get_pools").status == 403
    assert client.get("/v3/scheduler-stats/get_pools").json() == {"pools": [{"name": "store1@folder#pool"}]}
    (pool,) = client.get("/v3/scheduler-stats/get_pools?detail=true").json()["pools"]
    assert pool["capabilities"]["volume_backend_name"] == "folder"
    assert pool["capabilities"]["storage_protocol"] == "nbd"
    assert pool["capabilities"]["total_capacity_gb"] == 1024


def test_pools_filter_from_their_versions(client: Client) -> None:
    path = "/v3/scheduler-stats/get_pools"
    assert len(client.at("3.27").get(path + "?name=nothing").json()["pools"]) == 1
    assert client.at("3.28").get(path + "?name=nothing").json() == {"pools": []}
    assert client.at("3.31").get(path + "?mystery=1").status == 400
    client.post(
        "/v3/types", {"volume_type": {"name": "far", "extra_specs": {"volume_backend_name": "elsewhere"}}}
    )
    assert client.at("3.35").get(path + "?volume_type=far").json() == {"pools": []}
    assert client.at("3.35").get(path + "?volume_type=nothing").status == 404


def test_a_zone_is_available_while_one_of_its_backends_is(reader: Client, store: Store) -> None:
    answer = reader.get("/v3/os-availability-zone").json()
    assert answer == {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}}]}
    store.write_sync(lambda tx: pools.write_backend(tx, rows.BACKEND, state="down"))
    (zone,) = reader.get("/v3/os-availability-zone").json()["availabilityZoneInfo"]
    assert zone["zoneState"] == {"available": False}


def test_extensions_are_listed_and_shown(reader: Client) -> None:
    listed = reader.get("/v3/extensions").json()["extensions"]
    assert len(listed) == 32
    assert all(set(one) == {"name", "alias", "description", "updated", "links"} for one in listed)
    assert reader.get("/v3/extensions/os-hosts").json()["extension"]["name"] == "Hosts"
    assert reader.get("/v3/extensions/nothing").status == 404


def test_messages_are_found_by_resource_and_deleted_with_204(
    client: Client, member: Client, stranger: Client, store: Store
) -> None:
    volume = rows.volume(store)
    for resource in (volume, "other"):
        store.write_sync(
            lambda tx, resource=resource: messages.tell(  # type: ignore[misc]
                tx, project_id=rows.PROJECT, request_id="req-1", resource_type="VOLUME", resource_id=resource,
                event_id="VOLUME_VOLUME_001_003", text="schedule allocate volume: no backend",
            )
        )  # fmt: skip
    latest = member.at("latest")
    (message,) = latest.get(f"/v3/messages?resource_uuid={volume}").json()["messages"]
    assert set(message) == MESSAGE
    assert (message["message_level"], message["event_id"]) == ("ERROR", "VOLUME_VOLUME_001_003")
    assert len(member.at("3.3").get("/v3/messages").json()["messages"]) == 2
    assert latest.get("/v3/messages?limit=1").json()["messages_links"]
    path = f"/v3/messages/{message['id']}"
    assert set(latest.get(path).json()["message"]) == MESSAGE
    assert stranger.at("latest").get(path).status == stranger.at("latest").delete(path).status == 404
    gone = latest.delete(path)
    assert (gone.status, gone.body) == (204, b"")
    assert latest.get(path).status == 404

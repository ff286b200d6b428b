# SPDX-License-Identifier: Apache-2.0
"""What there is besides people's volumes: services, pools, zones, extensions, messages."""

from __future__ import annotations

import pytest

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

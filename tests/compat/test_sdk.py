# SPDX-License-Identifier: Apache-2.0
"""openstacksdk's block storage proxy, unchanged, on a real service."""

from __future__ import annotations

from functools import partial

from tests.compat.clients import Clients, must_become
from tests.compat.conftest import must_be_gone, snapshot_status, status


def test_a_volume_lives_through_the_proxy(clients: Clients, name: str) -> None:
    made = clients.sdk("create_volume", name=name, size=1, description="text", metadata={"k": "v"})
    must_become(lambda: status(clients, made["id"]), "available")
    assert clients.sdk("find_volume", name)["id"] == made["id"]
    clients.sdk("update_volume", made["id"], name=f"{name}-new")
    clients.sdk("set_volume_metadata", made["id"], second="2")
    clients.sdk("delete_volume_metadata", made["id"], ["k"])
    found = clients.sdk("get_volume", made["id"])
    assert (found["name"], found["metadata"]) == (f"{name}-new", {"second": "2"})
    clients.sdk("extend_volume", made["id"], 2)
    must_become(lambda: status(clients, made["id"]), "available")
    clients.sdk("set_volume_bootable_status", made["id"], True)
    clients.sdk("set_volume_readonly", made["id"], True)
    found = clients.sdk("get_volume", made["id"])
    assert (found["size"], str(found["is_bootable"]).lower()) == (2, "true")
    clients.sdk("delete_volume", made["id"])
    must_be_gone(lambda: status(clients, made["id"]))


def test_a_snapshot_lives_through_the_proxy(clients: Clients, volume: str, name: str) -> None:
    made = clients.sdk("create_snapshot", volume_id=volume, name=f"{name}-snap")
    must_become(lambda: snapshot_status(clients, made["id"]), "available")
    clients.sdk("set_snapshot_metadata", made["id"], k="v")
    assert clients.sdk("get_snapshot", made["id"])["metadata"] == {"k": "v"}
    clients.sdk("revert_volume_to_snapshot", volume, made["id"])
    must_become(lambda: status(clients, volume), "available")
    clients.sdk("delete_snapshot", made["id"])
    must_be_gone(lambda: snapshot_status(clients, made["id"]))


def test_a_type_lives_through_the_proxy(clients: Clients, name: str) -> None:
    made = clients.sdk("create_type", name=name, description="text")
    clients.sdk("update_type_extra_specs", made["id"], k="v")
    assert clients.sdk("get_type", made["id"])["extra_specs"] == {"k": "v"}
    clients.sdk("delete_type_extra_specs", made["id"], ["k"])
    assert name in [item["name"] for item in clients.sdk("types")]
    clients.sdk("delete_type", made["id"])


def test_the_rest_of_the_reading_calls_answer(clients: Clients) -> None:
    assert clients.sdk("backend_pools")
    assert {"cinder-volume", "cinder-scheduler"} <= {item["binary"] for item in clients.sdk("services")}
    assert clients.sdk("get_limits")["absolute"]["total_volumes_used"] is not None
    assert clients.sdk("get_quota_set", clients.project)["volumes"] is not None
    assert clients.sdk("availability_zones")[0]["name"]
    assert clients.sdk("extensions")
    assert clients.sdk("attachments") == []


def test_paging_by_limit_and_marker_finds_every_volume(clients: Clients, name: str) -> None:
    idents = {clients.sdk("create_volume", name=f"{name}-{number}", size=1)["id"] for number in range(5)}
    for ident in idents:
        must_become(partial(status, clients, ident), "available")
    found = {item["id"] for item in clients.sdk("volumes", details=True, limit=2)}
    assert idents <= found
    for ident in idents:
        clients.sdk("delete_volume", ident)
    for ident in idents:
        must_be_gone(partial(status, clients, ident))

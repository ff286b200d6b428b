# SPDX-License-Identifier: Apache-2.0
"""python-openstackclient, unchanged, on a real service."""

from __future__ import annotations

import socket

from tests.compat.clients import Clients, must_become
from tests.compat.conftest import must_be_gone, snapshot_status, status


def test_the_program_itself_lists_volumes(clients: Clients, volume: str) -> None:
    ran = clients.program("openstack", "volume", "list", "-f", "value", "-c", "ID")
    assert ran.status == 0, ran.err
    assert volume in ran.out.split()


def test_an_attached_volume_is_listed_where_there_is_no_nova(clients: Clients, volume: str) -> None:
    words = ["attachment-create", "--connect", "True", "--host", socket.gethostname(), "--platform", "x86_64"]
    words += ["--ostype", "linux2", "--ip", "127.0.0.1", "--mountpoint", "/dev/vdb", volume]
    made = clients.cinder(*words, "11111111-2222-4333-8444-555555555557").record
    attachment = made.get("ID") or made["id"]
    clients.cinder("attachment-complete", attachment)
    try:
        listed = {item["ID"]: item for item in clients.openstack("volume", "list", "-f", "json").json}
        assert listed[volume]["Status"] == "in-use"
        assert len(listed[volume]["Attached to"]) == 1
    finally:
        clients.cinder("attachment-delete", attachment)
    must_become(lambda: status(clients, volume), "available")


def test_a_volume_is_created_shown_listed_and_deleted(clients: Clients, name: str) -> None:
    made = clients.openstack(
        "volume", "create", "--size", "1", "--description", "text", name, "-f", "json"
    ).json
    assert made["size"] == 1
    assert made["status"] == "creating"
    must_become(lambda: status(clients, made["id"]), "available")
    shown = clients.openstack("volume", "show", name, "-f", "json").json
    assert (shown["id"], shown["description"]) == (made["id"], "text")
    listed = clients.openstack("volume", "list", "--long", "--name", name, "-f", "json").json
    assert [item["ID"] for item in listed] == [made["id"]]
    clients.openstack("volume", "delete", name)
    must_be_gone(lambda: status(clients, made["id"]))


def test_set_and_unset_change_what_is_said_about_a_volume(clients: Clients, volume: str) -> None:
    clients.openstack("volume", "set", "--name", "renamed", "--property", "a=1", "--property", "b=2", volume)
    clients.openstack("volume", "set", "--bootable", volume)
    clients.openstack("volume", "unset", "--property", "a", volume)
    shown = clients.openstack("volume", "show", volume, "-f", "json").json
    assert shown["name"] == "renamed"
    assert shown["properties"] == {"b": "2"}
    assert str(shown["bootable"]).lower() == "true"


def test_set_read_only_is_seen_in_the_metadata(clients: Clients, volume: str) -> None:
    clients.openstack("volume", "set", "--read-only", volume)
    assert clients.openstack("volume", "show", volume, "-f", "json").json["properties"]["readonly"] == "True"
    clients.openstack("volume", "set", "--read-write", volume)
    assert clients.openstack("volume", "show", volume, "-f", "json").json["properties"]["readonly"] == "False"


def test_set_size_extends(clients: Clients, volume: str) -> None:
    clients.openstack("volume", "set", "--size", "2", volume)
    must_become(lambda: status(clients, volume), "available")
    assert clients.openstack("volume", "show", volume, "-f", "json").json["size"] == 2


def test_set_state_resets_the_status(clients: Clients, volume: str) -> None:
    clients.openstack("volume", "set", "--state", "error", volume)
    assert clients.openstack("volume", "show", volume, "-f", "json").json["status"] == "error"


def test_a_snapshot_is_created_listed_shown_used_and_deleted(
    clients: Clients, volume: str, name: str
) -> None:
    made = clients.openstack(
        "volume", "snapshot", "create", "--volume", volume, f"{name}-snap", "-f", "json"
    ).json
    must_become(lambda: snapshot_status(clients, made["id"]), "available")
    listed = clients.openstack("volume", "snapshot", "list", "--volume", volume, "-f", "json").json
    assert [item["ID"] for item in listed] == [made["id"]]
    clients.openstack("volume", "snapshot", "set", "--property", "k=v", "--description", "said", made["id"])
    shown = clients.openstack("volume", "snapshot", "show", f"{name}-snap", "-f", "json").json
    assert (shown["properties"], shown["description"]) == ({"k": "v"}, "said")

    copy = clients.openstack("volume", "create", "--snapshot", made["id"], f"{name}-copy", "-f", "json").json
    must_become(lambda: status(clients, copy["id"]), "available")
    assert clients.openstack("volume", "show", copy["id"], "-f", "json").json["snapshot_id"] == made["id"]
    clients.openstack("volume", "delete", copy["id"])
    must_be_gone(lambda: status(clients, copy["id"]))
    clients.openstack("volume", "snapshot", "delete", made["id"])
    must_be_gone(lambda: snapshot_status(clients, made["id"]))


def test_a_volume_is_cloned(clients: Clients, volume: str, name: str) -> None:
    made = clients.openstack("volume", "create", "--source", volume, f"{name}-clone", "-f", "json").json
    must_become(lambda: status(clients, made["id"]), "available")
    shown = clients.openstack("volume", "show", made["id"], "-f", "json").json
    assert (shown["source_volid"], shown["size"]) == (volume, 1)
    clients.openstack("volume", "delete", made["id"])
    must_be_gone(lambda: status(clients, made["id"]))


def test_a_volume_is_reverted_to_its_snapshot(clients: Clients, volume: str) -> None:
    made = clients.openstack("volume", "snapshot", "create", "--volume", volume, "point", "-f", "json").json
    must_become(lambda: snapshot_status(clients, made["id"]), "available")
    clients.openstack("--os-volume-api-version", "3.40", "volume", "revert", made["id"])
    must_become(lambda: status(clients, volume), "available")
    must_become(lambda: snapshot_status(clients, made["id"]), "available")


def test_a_type_is_created_changed_and_deleted(clients: Clients, name: str) -> None:
    made = clients.openstack(
        "volume", "type", "create", "--property", "k=v", "--public", name, "-f", "json"
    ).json
    assert made["properties"] == {"k": "v"}
    clients.openstack("volume", "type", "set", "--property", "other=1", "--description", "said", name)
    clients.openstack("volume", "type", "unset", "--property", "k", name)
    shown = clients.openstack("volume", "type", "show", name, "-f", "json").json
    assert (shown["properties"], shown["description"]) == ({"other": "1"}, "said")
    assert name in [item["Name"] for item in clients.openstack("volume", "type", "list", "-f", "json").json]
    clients.openstack("volume", "type", "delete", name)
    assert name not in [
        item["Name"] for item in clients.openstack("volume", "type", "list", "-f", "json").json
    ]


def test_a_type_is_private_when_asked(clients: Clients, name: str) -> None:
    made = clients.openstack("volume", "type", "create", "--private", name, "-f", "json").json
    assert made["is_public"] is False
    clients.openstack("volume", "type", "delete", name)


def test_qos_specs_are_made_given_to_a_type_changed_and_deleted(clients: Clients, name: str) -> None:
    qos = ("volume", "qos")
    made = clients.openstack(
        *qos, "create", "--consumer", "front-end", "--property", "read_iops_sec=5", name, "-f", "json"
    ).json
    assert (made["consumer"], made["properties"]) == ("front-end", {"read_iops_sec": "5"})
    clients.openstack("volume", "type", "create", name)
    clients.openstack(*qos, "associate", name, name)
    shown = clients.openstack(*qos, "show", name, "-f", "json").json
    assert shown["associations"] == [name]
    clients.openstack(*qos, "set", "--property", "read_iops_sec=7", "--property", "write_iops_sec=1", name)
    clients.openstack(*qos, "unset", "--property", "write_iops_sec", name)
    (listed,) = [one for one in clients.openstack(*qos, "list", "-f", "json").json if one["Name"] == name]
    assert listed["Properties"] == {"read_iops_sec": "7"}
    clients.openstack(*qos, "disassociate", "--volume-type", name, name)
    clients.openstack(*qos, "delete", name)
    clients.openstack("volume", "type", "delete", name)
    assert name not in [one["Name"] for one in clients.openstack(*qos, "list", "-f", "json").json]


def test_a_volume_is_offered_and_accepted(clients: Clients, volume: str, name: str) -> None:
    request = ("volume", "transfer", "request")
    made = clients.openstack(*request, "create", "--name", name, volume, "-f", "json").json
    assert made["volume_id"] == volume
    assert [one["ID"] for one in clients.openstack(*request, "list", "-f", "json").json] == [made["id"]]
    clients.openstack(*request, "accept", "--auth-key", made["auth_key"], made["id"])
    assert clients.openstack("volume", "show", volume, "-f", "json").json["status"] == "available"
    again = clients.openstack(*request, "create", volume, "-f", "json").json
    clients.openstack(*request, "delete", again["id"])
    assert clients.openstack(*request, "list", "-f", "json").json == []


def test_services_pools_and_zones_are_listed(clients: Clients) -> None:
    services = clients.openstack("volume", "service", "list", "-f", "json").json
    assert {"cinder-volume", "cinder-scheduler"} <= {item["Binary"] for item in services}
    assert {item["State"] for item in services} == {"up"}
    pools = clients.openstack("volume", "backend", "pool", "list", "--long", "-f", "json").json
    assert all("@" in item["Name"] and "#" in item["Name"] for item in pools)
    zones = clients.openstack("availability", "zone", "list", "--volume", "-f", "json").json
    assert zones[0]["Zone Status"] == "available"


def test_a_summary_counts_the_volumes(clients: Clients, volume: str) -> None:
    found = clients.openstack("volume", "summary", "-f", "json").json
    assert found["Total Count"] >= 1


def test_what_is_not_there_is_said_and_is_a_failure(clients: Clients) -> None:
    ran = clients.openstack("volume", "show", "no-such-volume", ok=False)
    assert ran.status == 1
    assert "no-such-volume" in ran.err

# SPDX-License-Identifier: Apache-2.0
"""python-cinderclient, unchanged, on a real service."""

from __future__ import annotations

import json

from tests.compat.clients import Clients, must_become
from tests.compat.conftest import must_be_gone, snapshot_status, status


def test_the_program_itself_lists_volumes(clients: Clients, volume: str) -> None:
    ran = clients.program("cinder", "list")
    assert ran.status == 0, ran.err
    assert volume in [row["ID"] for row in ran.rows]


def test_a_volume_is_created_shown_renamed_and_deleted(clients: Clients, name: str) -> None:
    made = clients.cinder("create", "1", "--name", name, "--metadata", "k=v", "--description", "text").record
    must_become(lambda: status(clients, made["id"]), "available")
    clients.cinder("rename", name, f"{name}-new", "--description", "other")
    shown = clients.cinder("show", f"{name}-new").record
    assert (shown["id"], shown["description"], shown["size"]) == (made["id"], "other", "1")
    clients.cinder("metadata", made["id"], "set", "second=2")
    clients.cinder("metadata", made["id"], "unset", "k")
    assert clients.cinder("metadata-show", made["id"]).record["second"] == "2"
    clients.cinder("delete", made["id"])
    must_be_gone(lambda: status(clients, made["id"]))


def test_a_volume_is_extended(clients: Clients, volume: str) -> None:
    clients.cinder("extend", volume, "2")
    must_become(lambda: status(clients, volume), "available")
    assert clients.cinder("show", volume).record["size"] == "2"


def test_bootable_and_read_only_are_set(clients: Clients, volume: str) -> None:
    clients.cinder("set-bootable", volume, "true")
    assert clients.cinder("show", volume).record["bootable"] == "true"
    clients.cinder("readonly-mode-update", volume, "true")
    assert "True" in clients.cinder("show", volume).out
    metadata = clients.sdk("get_volume", volume)["metadata"]
    assert metadata["readonly"] == "True"


def test_a_status_is_reset(clients: Clients, volume: str) -> None:
    clients.cinder("reset-state", "--state", "error", volume)
    assert status(clients, volume) == "error"
    clients.cinder("reset-state", "--state", "available", volume)
    assert status(clients, volume) == "available"


def test_a_snapshot_is_made_used_reset_and_deleted(clients: Clients, volume: str, name: str) -> None:
    made = clients.cinder("snapshot-create", volume, "--name", f"{name}-snap").record
    must_become(lambda: snapshot_status(clients, made["id"]), "available")
    assert made["id"] in [row["ID"] for row in clients.cinder("snapshot-list", "--volume-id", volume).rows]
    clients.cinder("snapshot-metadata", made["id"], "set", "k=v")
    clients.cinder("snapshot-reset-state", "--state", "error", made["id"])
    assert clients.cinder("snapshot-show", made["id"]).record["status"] == "error"
    clients.cinder("snapshot-reset-state", "--state", "available", made["id"])
    copy = clients.cinder("create", "--snapshot-id", made["id"], "--name", f"{name}-copy", "1").record
    must_become(lambda: status(clients, copy["id"]), "available")
    clients.cinder("delete", copy["id"])
    clients.cinder("snapshot-delete", made["id"])
    must_be_gone(lambda: snapshot_status(clients, made["id"]))
    must_be_gone(lambda: status(clients, copy["id"]))


def test_a_volume_is_reverted(clients: Clients, volume: str) -> None:
    made = clients.cinder("snapshot-create", volume, "--name", "point").record
    must_become(lambda: snapshot_status(clients, made["id"]), "available")
    clients.cinder("revert-to-snapshot", made["id"])
    must_become(lambda: status(clients, volume), "available")


def test_a_volume_is_cloned(clients: Clients, volume: str, name: str) -> None:
    made = clients.cinder("create", "--source-volid", volume, "--name", f"{name}-clone", "1").record
    must_become(lambda: status(clients, made["id"]), "available")
    clients.cinder("delete", made["id"])
    must_be_gone(lambda: status(clients, made["id"]))


def test_a_type_with_extra_specs_is_used_and_deleted(clients: Clients, name: str) -> None:
    made = clients.cinder("type-create", name, "--description", "text").rows[0]
    clients.cinder("type-key", name, "set", "volume_backend_name=nowhere", "k=v")
    clients.cinder("type-key", name, "unset", "k")
    specs = next(row for row in clients.cinder("extra-specs-list").rows if row["ID"] == made["ID"])
    assert specs["extra_specs"] == "{'volume_backend_name': 'nowhere'}"
    clients.cinder("type-update", name, "--name", f"{name}-new")
    assert f"{name}-new" in [row["Name"] for row in clients.cinder("type-list").rows]
    clients.cinder("type-default")
    clients.cinder("type-delete", f"{name}-new")
    assert made["ID"] not in [row["ID"] for row in clients.cinder("type-list").rows]


def test_qos_specs_are_made_changed_given_to_a_type_and_deleted(clients: Clients, name: str) -> None:
    made = clients.cinder("qos-create", name, "consumer=both", "k=v", "other=1").rows
    ident = next(row["Value"] for row in made if row["Property"] == "id")
    kind = clients.cinder("type-create", name).rows[0]["ID"]
    clients.cinder("qos-associate", ident, kind)
    assert [row["ID"] for row in clients.cinder("qos-get-association", ident).rows] == [kind]
    clients.cinder("qos-key", ident, "set", "k=w")
    clients.cinder("qos-key", ident, "unset", "other")
    clients.cinder("qos-disassociate-all", ident)
    assert clients.cinder("qos-get-association", ident).rows == []
    clients.cinder("qos-delete", ident)
    assert ident not in [row["ID"] for row in clients.cinder("qos-list").rows]
    clients.cinder("type-delete", name)


def test_a_type_is_given_to_projects_and_encrypts(clients: Clients, name: str) -> None:
    kind = clients.cinder("type-create", name, "--is-public", "false").rows[0]["ID"]
    clients.cinder("type-access-add", "--volume-type", kind, "--project-id", "a" * 32)
    listed = clients.cinder("type-access-list", "--volume-type", kind).rows
    assert [row["Project_ID"] for row in listed] == ["a" * 32]
    clients.cinder("type-access-remove", "--volume-type", kind, "--project-id", "a" * 32)
    clients.cinder("encryption-type-create", kind, "luks", "--key-size", "256", "--cipher", "aes-xts-plain64")
    shown = clients.cinder("encryption-type-show", kind).rows
    assert [(row["Provider"], row["Key Size"]) for row in shown] == [("luks", "256")]
    clients.cinder("encryption-type-update", kind, "--key-size", "512")
    clients.cinder("encryption-type-delete", kind)
    clients.cinder("type-delete", kind)
    assert kind not in [row["ID"] for row in clients.cinder("type-list").rows]


def test_a_volume_is_offered_accepted_and_taken_back(clients: Clients, volume: str) -> None:
    def offer() -> dict[str, str]:
        return {row["Property"]: row["Value"] for row in clients.cinder("transfer-create", volume).rows}

    made = offer()
    clients.cinder("transfer-accept", made["id"], made["auth_key"])
    again = offer()
    assert [row["ID"] for row in clients.cinder("transfer-list").rows] == [again["id"]]
    clients.cinder("transfer-delete", again["id"])
    assert clients.cinder("transfer-list").rows == []


def test_a_service_is_disabled_and_enabled(clients: Clients) -> None:
    host = next(
        row["Host"] for row in clients.cinder("service-list").rows if row["Binary"] == "cinder-volume"
    )

    def status() -> str:
        rows = clients.cinder("service-list", "--host", host).rows
        return next(row["Status"] for row in rows if row["Binary"] == "cinder-volume")

    clients.cinder("service-disable", host, "cinder-volume", "--reason", "disk")
    assert status() == "disabled"
    clients.cinder("service-enable", host, "cinder-volume")
    assert status() == "enabled"
    clients.cinder("freeze-host", host)
    clients.cinder("thaw-host", host)


def test_a_group_type_with_specs_is_made_and_deleted(clients: Clients, name: str) -> None:
    kind = clients.cinder("group-type-create", name).rows[0]["ID"]
    clients.cinder("group-type-key", kind, "set", "consistent_group_snapshot_enabled=<is> True")
    listed = next(row for row in clients.cinder("group-specs-list").rows if row["ID"] == kind)
    assert listed["group_specs"] == "{'consistent_group_snapshot_enabled': '<is> True'}"
    clients.cinder("group-type-delete", kind)
    assert kind not in [row["ID"] for row in clients.cinder("group-type-list").rows]


def test_what_a_backend_can_do_is_told(clients: Clients) -> None:
    host = next(
        row["Host"] for row in clients.cinder("service-list").rows if row["Binary"] == "cinder-volume"
    )
    assert clients.cinder("get-capabilities", host).status == 0
    assert clients.cinder("cluster-list").rows == []


def test_the_quota_class_changes_everybodys_limits(clients: Clients) -> None:
    before = {row["Property"]: row["Value"] for row in clients.cinder("quota-class-show", "default").rows}
    clients.cinder("quota-class-update", "default", "--backups", "3")
    after = {row["Property"]: row["Value"] for row in clients.cinder("quota-class-show", "default").rows}
    assert after == before | {"backups": "3"}
    clients.cinder("quota-class-update", "default", "--backups", before["backups"])


def test_a_volume_that_fits_nowhere_ends_in_error_with_a_message(clients: Clients, name: str) -> None:
    clients.cinder("type-create", name)
    clients.cinder("type-key", name, "set", "volume_backend_name=nowhere")
    made = clients.cinder("create", "1", "--name", name, "--volume-type", name).record
    must_become(lambda: "placed" if status(clients, made["id"]) != "error" else "in error", "in error")
    assert made["id"] in [row["Resource UUID"] for row in clients.cinder("message-list").rows]
    clients.cinder("delete", made["id"])
    must_be_gone(lambda: status(clients, made["id"]))
    clients.cinder("type-delete", name)


def test_an_attachment_is_reserved_updated_completed_and_deleted(clients: Clients, volume: str) -> None:
    server = "11111111-2222-4333-8444-555555555555"
    made = clients.cinder("attachment-create", volume, server).record
    attachment = made.get("ID") or made["id"]
    assert status(clients, volume) == "reserved"
    connect = ["--host", "elsewhere", "--platform", "x86_64", "--ostype", "linux2", "--ip", "127.0.0.1"]
    clients.cinder("attachment-update", attachment, *connect, ok=False)
    shown = clients.sdk("get_attachment", attachment)
    assert shown["volume_id"] == volume
    assert attachment in [row["ID"] for row in clients.cinder("attachment-list").rows]
    clients.cinder("attachment-delete", attachment)
    must_become(lambda: status(clients, volume), "available")


def test_an_attachment_of_this_host_gives_a_connection_and_completes(clients: Clients, volume: str) -> None:
    import socket

    words = [
        "attachment-create",
        "--connect",
        "True",
        "--mountpoint",
        "/dev/vdb",
        "--host",
        socket.gethostname(),
    ]
    words += ["--platform", "x86_64", "--ostype", "linux2", "--ip", "127.0.0.1", volume]
    server = "11111111-2222-4333-8444-555555555556"
    ran = clients.cinder(*words, server)
    attachment = ran.record.get("ID") or ran.record["id"]
    info = clients.sdk("get_attachment", attachment)["connection_info"]
    assert info["driver_volume_type"] in ("local", "nbd"), json.dumps(info)
    clients.cinder("attachment-complete", attachment)
    assert status(clients, volume) == "in-use"
    clients.cinder("attachment-delete", attachment)
    must_become(lambda: status(clients, volume), "available")


def test_services_pools_zones_quotas_and_limits_are_shown(clients: Clients) -> None:
    assert {"cinder-volume", "cinder-scheduler"} <= {
        row["Binary"] for row in clients.cinder("service-list").rows
    }
    assert "free_capacity_gb" in clients.cinder("get-pools", "--detail").record
    assert clients.cinder("availability-zone-list").rows[0]["Status"] == "available"
    assert "gigabytes" in clients.cinder("quota-show", clients.project).record
    assert "volumes" in clients.cinder("quota-usage", clients.project).out
    limits = {row["Name"]: row["Value"] for row in clients.cinder("absolute-limits").rows}
    assert "totalVolumesUsed" in limits
    assert clients.cinder("version-list").status == 0


def test_quotas_are_changed_and_put_back(clients: Clients) -> None:
    project = "ffffffffffffffffffffffffffffffff"
    clients.cinder("quota-update", "--volumes", "7", project)
    assert clients.cinder("quota-show", project).record["volumes"] == "7"
    clients.cinder("quota-delete", project)
    assert clients.cinder("quota-show", project).record["volumes"] != "7"


def test_what_is_not_there_is_said_and_is_a_failure(clients: Clients) -> None:
    ran = clients.cinder("show", "no-such-volume", ok=False)
    assert ran.status == 1
    assert "No volume with a name or ID of 'no-such-volume' exists" in ran.err

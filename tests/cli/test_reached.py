# SPDX-License-Identifier: Apache-2.0
"""How a connection info becomes something that qemu's programs open, and how files of images are treated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from breezeblock.cli import reached
from breezeblock.cli.client import Client, Unreachable
from breezeblock.cli.credentials import Credentials
from breezeblock.cli.exits import REFUSED, Ended
from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply, volume

VOLUME, ATTACHMENT = volume()["id"], "cccccccc-0000-4000-8000-000000000001"


def node(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text.removeprefix("json:"))
    return found


def test_a_unix_socket_uri_becomes_a_stated_raw_node() -> None:
    info = {"driver_volume_type": "nbd", "uri": "nbd+unix:///volume-1?socket=/run/a%20b/nbd.sock"}
    assert node(reached.specification(info, writable=True)) == {
        "driver": "raw",
        "file": {
            "driver": "nbd",
            "server": {"type": "unix", "path": "/run/a b/nbd.sock"},
            "export": "volume-1",
        },
    }


def test_a_tcp_uri_and_the_nested_shape_are_understood_too() -> None:
    info = {"driver_volume_type": "nbd", "data": {"uri": "nbd://127.0.0.1:10810/volume-1"}}
    file = node(reached.specification(info, writable=True))["file"]
    assert file == {
        "driver": "nbd",
        "server": {"type": "inet", "host": "127.0.0.1", "port": "10810"},
        "export": "volume-1",
    }


def test_a_local_device_is_used_when_this_user_may_open_it(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.touch()
    info = {"driver_volume_type": "local", "device_path": str(path)}
    assert node(reached.specification(info, writable=True))["file"] == {
        "driver": "host_device",
        "filename": str(path),
    }


def test_a_connection_out_of_reach_is_refused_with_the_way_out() -> None:
    with pytest.raises(Ended, match="Run the command as root"):
        reached.specification({"driver_volume_type": "local", "device_path": "/no/such"}, writable=False)
    with pytest.raises(Ended, match="nbds"):
        reached.specification({"driver_volume_type": "nbd", "uri": "nbds://host/x"}, writable=False)


def test_an_image_file_never_brings_a_backing_file_along() -> None:
    spelled = node(reached.file(7, "qcow2"))
    assert spelled["file"] == {"driver": "file", "filename": "/dev/fd/7"}
    assert spelled["driver"] == "qcow2"
    assert spelled["backing"] is None


def test_the_attachment_is_given_back_when_the_work_fails(fake: Fake) -> None:
    info = {"driver_volume_type": "nbd", "uri": "nbd+unix:///v?socket=/s"}
    fake.on(
        "POST", "/v3/attachments", Reply(200, {"attachment": {"id": ATTACHMENT, "connection_info": info}})
    )
    fake.on("POST", f"/v3/attachments/{ATTACHMENT}/action", Reply(204))
    fake.on("DELETE", f"/v3/attachments/{ATTACHMENT}", Reply(200, {"attachments": []}))
    with Client(Credentials(fake.endpoint, "t", "", "test")) as client:
        with pytest.raises(ZeroDivisionError), reached.reached(client, VOLUME, "ro"):
            raise ZeroDivisionError
    assert [asked.method for asked in fake.asked] == ["POST", "POST", "DELETE"]
    assert fake.asked[0].body["attachment"]["connector"]["user_space"] is True
    assert fake.asked[0].body["attachment"]["mode"] == "ro"


def test_export_refuses_to_overwrite_before_it_asks_for_anything(
    fake: Fake, command: Command, tmp_path: Path
) -> None:
    there = tmp_path / "disk.raw"
    there.write_bytes(b"precious")
    ran = command("volume", "export", VOLUME, str(there))
    assert ran.status == REFUSED
    assert there.read_bytes() == b"precious"
    assert fake.asked == []


def test_two_exports_to_one_name_cannot_mix(fake: Fake, command: Command, tmp_path: Path) -> None:
    (tmp_path / "disk.raw.part").write_bytes(b"another export")
    ran = command("volume", "export", VOLUME, str(tmp_path / "disk.raw"))
    assert ran.status == REFUSED
    assert (tmp_path / "disk.raw.part").read_bytes() == b"another export"


def test_brick_takes_secrets_from_stdin_and_not_from_the_command_line(
    command: Command, tmp_path: Path
) -> None:
    bad = tmp_path / "info.json"
    bad.write_text('{"target": "x"}')
    ran = command("brick", "connect", str(bad), "--state", str(tmp_path / "state"))
    assert ran.status == REFUSED
    assert "driver_volume_type" in ran.err


def test_a_restart_of_the_service_does_not_cost_the_bytes_that_were_copied(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = {"driver_volume_type": "nbd", "uri": "nbd+unix:///v?socket=/s"}
    fake.on(
        "POST", "/v3/attachments", Reply(200, {"attachment": {"id": ATTACHMENT, "connection_info": info}})
    )
    fake.on("POST", f"/v3/attachments/{ATTACHMENT}/action", Reply(204))
    fake.on("DELETE", f"/v3/attachments/{ATTACHMENT}", Reply(200, {"attachments": []}))
    away = iter([True, True, False])
    delete = Client.delete

    def sometimes(client: Client, path: str) -> object:
        if next(away):
            raise Unreachable(fake.endpoint, "Connection refused")
        return delete(client, path)

    monkeypatch.setattr(Client, "delete", sometimes)
    with Client(Credentials(fake.endpoint, "t", "", "test")) as client, reached.reached(client, VOLUME, "ro"):
        pass
    assert fake.asked[-1].method == "DELETE"

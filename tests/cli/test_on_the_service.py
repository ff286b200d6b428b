# SPDX-License-Identifier: Apache-2.0
"""The command on the real service: every verb that the demonstration has no use for, and the documents that docs/CLI.md promises."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.cli.exits import UNREACHABLE, Ended
from breezeblock.demo.instance import Instance
from tests.lab.presence import missing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    for wanted in ("qemu-img", "qemu-storage-daemon"):
        if reason := missing(wanted):
            pytest.skip(reason)
    instance = Instance(tmp_path_factory.mktemp("service"))
    instance.start()
    yield instance
    instance.stop()


@pytest.fixture
def volume(service: Instance, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a volume of 1 GiB, which is the test's."""
    name = request.node.name[-60:]
    service.ask("volume", "create", name, "1G")
    yield name
    for item in service.ask("volume", "list")["volumes"]:
        if item["name"] in (name, "renamed"):
            service.run("volume", "delete", item["id"], "--cascade")


def test_a_volume_is_created_found_by_name_and_deleted(service: Instance) -> None:
    made = service.ask("volume", "create", "by-name", "1G", "--property", "k=v", "--description", "text")
    assert set(made) == {"volume", "operation"}
    assert (made["volume"]["status"], made["operation"]["state"]) == ("available", "succeeded")
    shown = service.ask("volume", "show", "by-name")["volume"]
    assert (shown["id"], shown["metadata"], shown["description"]) == (
        made["volume"]["id"],
        {"k": "v"},
        "text",
    )
    listed = service.ask("volume", "list", "--property", "k=v")["volumes"]
    assert [item["id"] for item in listed] == [shown["id"]]
    gone = service.ask("volume", "delete", "by-name")
    assert [item["id"] for item in gone["deleted"]] == [shown["id"]]
    with pytest.raises(Ended, match="there is no volume named 'by-name'"):
        service.ask("volume", "show", "by-name")


def test_everything_that_is_said_about_a_volume_can_be_set(service: Instance, volume: str) -> None:
    ident = service.ask("volume", "show", volume)["volume"]["id"]
    service.ask("volume", "set", volume, "--property", "a=1", "--property", "b=2", "--bootable")
    words = ["--name", "renamed", "--description", "new", "--unset", "a", "--read-only"]
    found = service.ask("volume", "set", volume, *words)["volume"]
    assert found["id"] == ident
    assert (found["name"], found["description"], found["bootable"]) == ("renamed", "new", "true")
    assert found["metadata"] == {"b": "2", "readonly": "True"}
    found = service.ask("volume", "set", "renamed", "--status", "error", "--not-bootable", "--read-write")[
        "volume"
    ]
    assert (found["status"], found["bootable"], found["metadata"]["readonly"]) == ("error", "false", "False")


def test_a_snapshot_is_listed_changed_reverted_to_and_deleted(service: Instance, volume: str) -> None:
    made = service.ask("snapshot", "create", volume, "--name", f"{volume}-snap", "--property", "k=v")[
        "snapshot"
    ]
    found = service.ask("snapshot", "set", f"{volume}-snap", "--description", "new", "--unset", "k")[
        "snapshot"
    ]
    assert (found["id"], found["description"], found["metadata"]) == (made["id"], "new", {})
    assert [item["id"] for item in service.ask("snapshot", "list", "--volume", volume)["snapshots"]] == [
        made["id"]
    ]
    reverted = service.ask("volume", "revert", volume, f"{volume}-snap")
    assert (reverted["volume"]["status"], reverted["operation"]["kind"]) == ("available", "volume.revert")
    service.ask("snapshot", "delete", f"{volume}-snap")
    assert service.ask("snapshot", "list", "--volume", volume)["snapshots"] == []


def test_a_type_is_created_changed_used_and_deleted(service: Instance) -> None:
    made = service.ask(
        "type", "create", "fast", "--property", "volume_backend_name=local", "--description", "x"
    )["type"]
    found = service.ask("type", "set", "fast", "--property", "k=v", "--description", "y")["type"]
    assert (found["id"], found["extra_specs"]["k"], found["description"]) == (made["id"], "v", "y")
    assert "k" not in service.ask("type", "set", "fast", "--unset", "k")["type"]["extra_specs"]
    assert service.ask("volume", "create", "typed", "1", "--type", "fast")["volume"]["volume_type"] == "fast"
    with pytest.raises(Ended):
        service.ask("type", "delete", "fast")
    service.ask("volume", "delete", "typed")
    service.ask("type", "delete", "fast")
    assert "fast" not in [item["name"] for item in service.ask("type", "list")["types"]]


@pytest.mark.parametrize("suffix", ["raw", "qcow2"])
def test_a_file_that_was_imported_is_exported_unchanged(
    service: Instance, tmp_path: Path, suffix: str
) -> None:
    image, back = tmp_path / "image.raw", tmp_path / f"back.{suffix}"
    content = random.Random(1).randbytes(3 << 20)
    image.write_bytes(content)
    made = service.ask("volume", "import", str(image), "--name", f"imported-{suffix}", "--bootable")
    assert (made["volume"]["bootable"], made["volume"]["status"]) == ("true", "available")
    out = service.ask("volume", "export", f"imported-{suffix}", str(back))["export"]
    assert out["format"] == suffix
    assert out["allocated"] < 64 << 20
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-f", suffix, "-O", "raw", back, raw], check=True, timeout=120)
    with raw.open("rb") as file:
        assert file.read(len(content)) == content
        assert not any(file.read(1 << 20))
    service.ask("volume", "delete", f"imported-{suffix}")


def test_an_operation_is_told_by_its_timeline(service: Instance, volume: str) -> None:
    listed = service.ask("operation", "list", "--resource", volume)["operations"]
    assert [item["kind"] for item in listed] == ["volume.create"]
    shown = service.ask("operation", "show", listed[0]["id"])["operation"]
    assert [entry["task"] for entry in shown["timeline"] if entry["state"] == "done"] == shown["tasks"]
    drawn = service.run("operation", "show", volume).stdout
    assert all(task in drawn for task in shown["tasks"])
    with pytest.raises(Ended):
        service.ask("operation", "cancel", listed[0]["id"])


def test_explain_says_where_a_volume_is_and_who_holds_it(service: Instance, volume: str) -> None:
    found = service.ask("explain", volume)["explain"]
    assert found["placement"]["pools"][0]["filters"]
    text = service.run("explain", volume).stdout
    assert "available" in text
    assert "capacity" in text


def test_a_volume_that_fits_nowhere_is_explained_with_each_pools_numbers(service: Instance) -> None:
    ran = service.run("volume", "create", "huge", "1000T")
    assert ran.returncode == 1
    ident = service.ask("volume", "list", "--name", "huge")["volumes"][0]["id"]
    assert f"breezeblock explain {ident}" in ran.stderr
    assert "1024000" in service.run("explain", ident).stdout
    service.ask("volume", "delete", ident)


def test_services_pools_and_status_are_readable(service: Instance) -> None:
    assert {item["binary"] for item in service.ask("service", "list")["services"]} >= {
        "cinder-volume",
        "cinder-scheduler",
    }
    assert service.ask("pool", "list")["pools"][0]["capabilities"]["free_capacity_gb"] > 0
    text = service.run("status").stdout
    assert service.endpoint in text
    assert "POOL" in service.run("pool", "list").stdout
    assert "cinder-volume" in service.run("service", "list").stdout


def test_a_device_or_uri_is_printed_alone_and_goes_again(service: Instance, volume: str) -> None:
    if reason := missing("nbdfuse"):
        pytest.skip(reason)
    ran = service.run("attach", volume, "-q")
    where = ran.stdout.strip()
    assert ran.returncode == 0, ran.stderr
    assert where.startswith(("/dev/", "nbd"))
    shown = service.ask("volume", "show", volume)["volume"]
    assert shown["status"] == "in-use"
    with pytest.raises(Ended):
        service.ask("volume", "export", volume, "/nowhere-at-all/file")
    assert service.ask("detach", volume)["operation"]["state"] == "succeeded"
    assert service.ask("volume", "show", volume)["volume"]["status"] == "available"
    assert not where.startswith("/dev/") or where not in _loops()


def _loops() -> str:
    return subprocess.run(["losetup", "-a"], capture_output=True, text=True, timeout=20).stdout


def test_a_service_that_is_gone_is_said_and_one_that_returns_is_waited_for(
    service: Instance, volume: str
) -> None:
    service.kill()
    try:
        ran = service.run("volume", "list")
        assert ran.returncode == UNREACHABLE
        assert "breezeblock serve" in ran.stderr
    finally:
        service.start()
    assert service.ask("volume", "show", volume)["volume"]["status"] == "available"


@pytest.mark.requires("root", "loop", "fuse", "nbdfuse", "mkfs.ext4")
def test_a_copy_of_a_mounted_volume_is_mounted_read_only(
    service: Instance, volume: str, tmp_path: Path
) -> None:
    """As the README's tour does: its journal cannot be replayed, since nothing may be written."""
    service.ask("attach", volume, "--mkfs", "ext4", "--mount", str(tmp_path / "web"))
    try:
        (tmp_path / "web" / "file").write_text("content")
        os.sync()
        service.ask("snapshot", "create", volume, "--name", f"{volume}-before")
        service.ask("volume", "create", f"{volume}-copy", "--from-snapshot", f"{volume}-before")
        try:
            service.ask("attach", f"{volume}-copy", "--ro", "--mount", str(tmp_path / "copy"))
            assert (tmp_path / "copy" / "file").read_text() == "content"
        finally:
            service.ask("detach", f"{volume}-copy", "--unmount")
            service.ask("volume", "delete", f"{volume}-copy")
    finally:
        service.ask("detach", volume, "--unmount")

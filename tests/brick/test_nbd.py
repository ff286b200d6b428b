# SPDX-License-Identifier: Apache-2.0
"""NBD connections of this host: the ladder, a chain that lost a link, a boot in between, and every instant at which the service may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breezeblock.brick import nbdfuse
from breezeblock.brick.connector import Identity
from breezeblock.brick.nbd import NbdConnector, end_leftovers
from breezeblock.host import loop, mounts, processes
from breezeblock.model import errors
from breezeblock.model.observation import Found
from breezeblock.targets.target import Export
from tests.lab.data_path import HERE, MIB, Ground, as_given, identity, run

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("qemu-storage-daemon", "qemu-img", "nbdfuse", "nbdinfo", "root", "loop", "fuse"),
]


class Volume:
    """An exported volume and what is needed to connect it."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.target = ground, ground.nbd()
        self.image = ground.image("a", "qcow2")
        self.export: Export = ground.exported(self.target, self.image)
        self.info = self.admitted()
        self.expect: Identity = identity(self.export)

    def admitted(self) -> Mapping[str, Any]:
        return as_given(self.target.admit(self.export, HERE, self.ground.ctx))

    def chain(self) -> nbdfuse.Chain:
        found = nbdfuse.stored(self.ground.state / "nbd" / self.export.name)
        assert found is not None
        return found


@pytest.fixture
def volume(ground: Ground) -> Iterator[Volume]:
    made = Volume(ground)
    yield made
    made.target.unexport(made.export, ground.ctx)


def test_direct_io_is_off_and_asserted(volume: Volume, ground: Ground) -> None:
    connector = ground.nbd_connector()
    device = connector.connect_volume(volume.info, volume.expect)
    dio = Path(f"/sys/block/{Path(device.path).name}/loop/dio")
    assert dio.read_text().strip() == "0"
    run(["losetup", "--direct-io=on", device.path])
    if dio.read_text().strip() == "1":  # somebody meddled: the device is not given out again, but taken away
        found = loop.find(ground.state / "nbd" / volume.export.name / "disk" / "nbd")
        assert found is not None
        with pytest.raises(errors.DeviceWrong, match="direct I/O"):
            loop.attach(ground.state / "nbd" / volume.export.name / "disk" / "nbd")
    connector.disconnect_volume(volume.info, device)


def test_the_exporter_outlives_who_started_it(volume: Volume, ground: Ground) -> None:
    connector = ground.nbd_connector()
    device = connector.connect_volume(volume.info, volume.expect)
    process = volume.chain().process
    assert process is not None
    assert os.getsid(process.pid) == os.getpgid(process.pid) != os.getsid(0)
    (session,) = volume.target.sessions(volume.export)
    assert f"pid {process.pid}" in session.client
    connector.disconnect_volume(volume.info, device)


def test_a_dead_nbdfuse_is_partial_and_connecting_again_mends_it(volume: Volume, ground: Ground) -> None:
    connector = ground.nbd_connector()
    device = connector.connect_volume(volume.info, volume.expect)
    process = volume.chain().process
    assert process is not None
    processes.kill(process)
    assert connector.observe(volume.info).found is Found.PARTIAL
    assert not connector.check_valid_device(device.path)
    again = connector.connect_volume(volume.info, volume.expect)
    assert connector.check_valid_device(again.path)
    connector.disconnect_volume(volume.info, again)


def test_a_dead_export_gives_errors_until_it_is_connected_anew(volume: Volume, ground: Ground) -> None:
    connector = ground.nbd_connector()
    device = connector.connect_volume(volume.info, volume.expect)
    kept = os.urandom(MIB)
    with Path(device.path).open("r+b") as block:
        block.write(kept)
        block.flush()
        os.fsync(block.fileno())
    daemon = next(pid for pid in carriers(ground) if "qemu-storage" in Path(f"/proc/{pid}/comm").read_text())
    os.kill(daemon, signal.SIGKILL)
    for _ in processes.ticks(5.0):  # seen before anybody tries to write
        if connector.observe(volume.info).found is Found.PARTIAL:
            break
    assert connector.observe(volume.info).found is Found.PARTIAL
    failed = subprocess.run(
        [
            "dd",
            "if=/dev/zero",
            f"of={device.path}",
            "bs=1M",
            "count=4",
            "seek=8",
            "oflag=direct",
            "conv=fsync",
        ],
        capture_output=True,
    )
    assert failed.returncode != 0
    assert b"Input/output error" in failed.stderr
    with pytest.raises(errors.Failed, match="flush"):
        connector.disconnect_volume(volume.info, device)
    connector.disconnect_volume(volume.info, device, force=True)
    volume.export = ground.exported(volume.target, volume.image)
    info = volume.admitted()
    assert connector.observe(info).found is Found.NOT_DONE
    again = connector.connect_volume(info, volume.expect)
    with Path(again.path).open("rb") as block:
        assert block.read(MIB) == kept  # what was flushed is there
    connector.disconnect_volume(info, again)


def test_after_a_boot_the_connection_is_stale_and_is_made_anew(
    volume: Volume, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = ground.nbd_connector()
    device = connector.connect_volume(volume.info, volume.expect)
    connector.disconnect_volume(volume.info, device)
    folder = ground.state / "nbd" / volume.export.name
    stale = nbdfuse.Chain(
        uri=volume.info["data"]["uri"], volume_id="v1", size=64 * MIB, boot="before", token="bz0"
    )
    for settle in ("connect", "disconnect"):
        (folder / "disk").mkdir(parents=True)
        (folder / "connection.json").write_bytes(msgspec.json.encode(stale))
        assert connector.observe(volume.info).found is Found.NOT_DONE
        if settle == "connect":
            assert connector.connect_volume(volume.info, volume.expect).kind == "block"
            assert connector.observe(volume.info).found is Found.DONE
        connector.disconnect_volume(volume.info, None)
        assert not folder.exists()


def test_another_export_at_the_same_place_is_recognised(volume: Volume, ground: Ground) -> None:
    """A reused socket or port: the server says which volume it exports, and it is asked."""
    other = ground.exported(volume.target, ground.image("b", "qcow2"), "v2")
    lying = dict(as_given(volume.target.admit(other, HERE, ground.ctx)))
    lying["data"] = {
        **lying["data"],
        "volume_id": "v1",
        "identity": "breezeblock:v1",
        "export": volume.export.name,
    }
    with pytest.raises(errors.DeviceWrong) as wrong:
        ground.nbd_connector().connect_volume(lying, volume.expect)
    assert "breezeblock:v2" in str(wrong.value)
    volume.target.unexport(other, ground.ctx)


def test_an_export_that_does_not_answer_is_unreachable_and_leaves_nothing(
    volume: Volume, ground: Ground
) -> None:
    volume.target.unexport(volume.export, ground.ctx)
    with pytest.raises(errors.Unreachable):
        ground.nbd_connector().connect_volume(volume.info, volume.expect)
    assert list(ground.left()) == []
    volume.export = ground.exported(volume.target, volume.image)


def test_who_is_not_root_gets_the_uri(
    volume: Volume, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = ground.nbd_connector()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert connector.properties() == {"nbd": "uri"}
    device = connector.connect_volume(volume.info, volume.expect)
    assert (device.kind, device.how, device.size) == ("uri", "uri", 64 * MIB)
    assert run(["nbdinfo", "--size", device.path]).strip() == str(64 * MIB)
    seen = connector.observe(volume.info)
    assert (seen.found, seen.value) == (Found.DONE, device)
    with pytest.raises(errors.DeviceWrong):
        connector.connect_volume(volume.info, Identity("v1", 1))
    connector.disconnect_volume(volume.info, device)
    volume.target.unexport(volume.export, ground.ctx)
    assert connector.observe(volume.info).found is Found.NOT_DONE


def test_growing_under_a_user_is_refused_and_says_what_to_do(volume: Volume, ground: Ground) -> None:
    connector = ground.nbd_connector()
    with pytest.raises(errors.NotThere):
        connector.extend_volume(volume.info)
    device = connector.connect_volume(volume.info, volume.expect)
    assert connector.extend_volume(volume.info) == 64 * MIB
    live = volume.target.live(volume.export)
    assert live is not None
    with pytest.raises(errors.Unsupported):
        live.resize(128 * MIB)
    connector.disconnect_volume(volume.info, device)
    live.resize(128 * MIB)
    again = connector.connect_volume(volume.info, Identity("v1", 128 * MIB))
    assert again.size == 128 * MIB
    connector.disconnect_volume(volume.info, again)


SERVICE = """
import json, sys
from pathlib import Path
from breezeblock.brick.connector import Identity
from breezeblock.brick.nbd import NbdConnector, end_leftovers
connector, info = NbdConnector(Path(sys.argv[1])), json.loads(sys.argv[2])
device = connector.connect_volume(info, Identity("v1", info["data"]["size"]))
connector.disconnect_volume(info, device)
"""

POINTS = ["nbdfuse.intended", "nbdfuse.started", "nbdfuse.attached", "nbdfuse.detached"]


@pytest.mark.parametrize("then", ["connect", "disconnect"])
@pytest.mark.parametrize("point", POINTS)
def test_a_service_killed_at_any_point_leaks_nothing(
    volume: Volume, ground: Ground, point: str, then: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", SERVICE, str(ground.state), msgspec.json.encode(volume.info).decode()],
        env={**os.environ, "BREEZEBLOCK_KILL_AT": point},
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    connector = ground.nbd_connector()
    assert connector.observe(volume.info).found is Found.PARTIAL
    if then == "connect":
        device = connector.connect_volume(volume.info, volume.expect)
        assert connector.check_valid_device(device.path)
        assert len([mount for mount in mounts.mounts() if mount.point.startswith(str(ground.folder))]) == 1
    connector.disconnect_volume(volume.info, None)
    assert connector.observe(volume.info).found is Found.NOT_DONE
    assert list(volume.target.sessions(volume.export)) == []


def test_two_processes_that_connect_at_once_make_one_device(volume: Volume, ground: Ground) -> None:
    words = [sys.executable, "-c", SERVICE.rpartition("connector.disconnect")[0] + "print(device.path)"]
    words += [str(ground.state), msgspec.json.encode(volume.info).decode()]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(said) == 1
    NbdConnector(ground.state).disconnect_volume(volume.info, None)


def carriers(ground: Ground) -> list[int]:
    return [int(left.removeprefix("process ")) for left in ground.left() if left.startswith("process")]


@pytest.mark.requires("mkfs.ext4")
def test_what_a_forced_detach_left_under_a_mount_goes_when_it_is_let_go(ground: Ground) -> None:
    volume = Volume(ground)
    connector = ground.nbd_connector()
    device = connector.connect_volume(volume.info, volume.expect)
    assert end_leftovers(ground.state, set()) == [], "it stands: nobody's leftover"
    mounts.make_filesystem(device.path, "ext4")
    mounts.mount(device.path, ground.folder / "m")
    try:
        connector.disconnect_volume(volume.info, device, force=True, ignore_errors=True)
        volume.target.unexport(volume.export, ground.ctx, force=True)
        assert end_leftovers(ground.state, set()) == [], "it is mounted"
        assert end_leftovers(ground.state, {"v1"}) == []
    finally:
        mounts.unmount(ground.folder / "m")
    assert end_leftovers(ground.state, {"v1"}) == [], (
        "its volume is still attached: connecting again takes it apart"
    )
    assert end_leftovers(ground.state, set()) == ["v1"]
    assert end_leftovers(ground.state, set()) == []
    assert list((ground.state / "nbd").iterdir()) == []

# SPDX-License-Identifier: Apache-2.0
"""What every Connector must do, whatever it connects by. A test module imports these tests and gives a `case` fixture for each connector.
The kernel is the judge: sizes, bytes, loop devices and mounts are asked of it, not of the connector."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breezeblock.brick.connector import Connector, Device, Identity
from breezeblock.host import block_device, mounts
from breezeblock.model import errors
from breezeblock.model.observation import Found
from tests.lab.data_path import MIB, Ground, run

__all__ = [
    "test_a_cut_off_device_is_not_valid",
    "test_a_device_that_is_open_is_never_called_gone",
    "test_a_mounted_device_is_busy_and_says_where",
    "test_a_read_only_connection_takes_no_write",
    "test_a_successor_observes_and_disconnects",
    "test_a_volume_of_another_size_is_not_handed_out",
    "test_another_protocol_is_refused",
    "test_another_volume_is_not_handed_out",
    "test_bytes_written_are_the_volumes_after_a_disconnect",
    "test_connecting_gives_a_device_of_the_volumes_size",
    "test_connecting_twice_gives_the_same_device",
    "test_disconnecting_is_final_and_repeatable",
    "test_the_device_is_gone_when_the_disconnect_returns",
]


class ConnectorCase:
    """A connector under test, and a volume that its target exports. `content` reads the volume's first bytes behind its back."""

    def __init__(
        self,
        ground: Ground,
        fresh: Callable[[], Connector],
        info: Mapping[str, Any],
        expect: Identity,
        content: Callable[[int], bytes],
    ) -> None:
        self.ground, self.fresh, self.info, self.expect, self.content = ground, fresh, info, expect, content
        self.connector = fresh()

    def connect(self) -> Device:
        return self.connector.connect_volume(self.info, self.expect)

    def disconnect(self, device: Device | None = None) -> None:
        self.connector.disconnect_volume(self.info, device)

    def but(self, **data: object) -> Mapping[str, Any]:
        """The connection info with some data changed."""
        return {**self.info, "data": {**self.info["data"], **data}}


def test_connecting_gives_a_device_of_the_volumes_size(case: ConnectorCase) -> None:
    device = case.connect()
    assert Path(device.path).is_block_device()
    assert int(run(["blockdev", "--getsize64", device.path])) == case.expect.size == device.size
    assert case.connector.check_valid_device(device.path)
    seen = case.connector.observe(case.info)
    assert seen.found is Found.DONE
    assert seen.value is not None
    assert seen.value.path == device.path
    assert msgspec.json.decode(msgspec.json.encode(device), type=Device) == device  # it is stored and sent
    case.disconnect(device)


def test_connecting_twice_gives_the_same_device(case: ConnectorCase) -> None:
    device = case.connect()
    assert case.connect().path == device.path
    assert case.fresh().connect_volume(case.info, case.expect).path == device.path
    case.disconnect(device)


def test_bytes_written_are_the_volumes_after_a_disconnect(case: ConnectorCase) -> None:
    device = case.connect()
    sent = os.urandom(MIB)
    with Path(device.path).open("r+b") as block:
        block.write(sent)  # not synced: the disconnect has to
    case.disconnect(device)
    assert case.content(MIB) == sent
    again = case.connect()
    with Path(again.path).open("rb") as block:
        assert block.read(MIB) == sent
    case.disconnect()


def test_disconnecting_is_final_and_repeatable(case: ConnectorCase) -> None:
    before = list(case.ground.left())  # the exporter's own
    case.disconnect()
    device = case.connect()
    case.disconnect(device)
    case.disconnect(device)
    case.disconnect()
    if device.how != "device":
        assert case.connector.observe(case.info).found is Found.NOT_DONE
    assert list(case.ground.left()) == before


def test_the_device_is_gone_when_the_disconnect_returns(case: ConnectorCase) -> None:
    device = case.connect()
    if device.how == "device":
        case.disconnect(device)
        return_to = block_device.size(Path(device.path))
        assert return_to == case.expect.size  # a device of the host itself stays
        return
    case.disconnect(device)
    name = Path(device.path).name
    assert not Path(f"/sys/block/{name}/loop/backing_file").exists()
    assert not [mount for mount in mounts.mounts() if mount.point.startswith(str(case.ground.state))]


def test_a_successor_observes_and_disconnects(case: ConnectorCase) -> None:
    device = case.connect()
    successor = case.fresh()
    seen = successor.observe(case.info).value
    assert seen is not None
    assert seen.path == device.path
    successor.disconnect_volume(case.info, None)
    if device.how != "device":
        assert case.connector.observe(case.info).found is Found.NOT_DONE


def test_a_volume_of_another_size_is_not_handed_out(case: ConnectorCase) -> None:
    wrong = Identity(volume_id=case.expect.volume_id, size=(case.expect.size or 0) + MIB)
    with pytest.raises(errors.DeviceWrong) as refused:
        case.connector.connect_volume(case.info, wrong)
    assert str(wrong.size) in str(refused.value)
    assert str(case.expect.size) in str(refused.value)
    device = case.connect()
    with pytest.raises(errors.DeviceWrong):
        case.connector.connect_volume(case.info, wrong)
    case.disconnect(device)


def test_another_volume_is_not_handed_out(case: ConnectorCase) -> None:
    with pytest.raises(errors.DeviceWrong) as refused:
        case.connector.connect_volume(case.info, Identity(volume_id="other", size=case.expect.size))
    assert "other" in str(refused.value)
    if case.connector.observe(case.info).value is not None:  # only a device of the host itself
        assert case.info["data"].get("device_path")


def test_another_protocol_is_refused(case: ConnectorCase) -> None:
    with pytest.raises(errors.BadRequest):
        case.connector.connect_volume({"driver_volume_type": "iscsi", "data": {}}, case.expect)
    with pytest.raises(errors.BadRequest):
        case.connector.connect_volume({**case.info, "data": {}}, case.expect)
    assert case.info["driver_volume_type"] in case.connector.protocols


def test_a_read_only_connection_takes_no_write(case: ConnectorCase) -> None:
    device = case.connector.connect_volume(case.but(access_mode="ro"), case.expect)
    if device.how != "device":
        assert run(["blockdev", "--getro", device.path]).strip() == "1"
        with pytest.raises(OSError), Path(device.path).open("r+b", buffering=0) as block:
            block.write(bytes(4096))
    case.disconnect(device)


def test_a_mounted_device_is_busy_and_says_where(case: ConnectorCase) -> None:
    device = case.connect()
    point = case.ground.folder / "mounted"
    mounts.make_filesystem(device.path, "ext4")
    mounts.mount(device.path, point)
    try:
        (point / "file").write_bytes(b"still here")
        if device.how != "device":
            with pytest.raises(errors.Busy) as busy:
                case.disconnect(device)
            assert str(point) in str(busy.value)
            assert case.connector.observe(case.info).found is Found.DONE
        assert (point / "file").read_bytes() == b"still here"
    finally:
        mounts.unmount(point)
    case.disconnect(device)


def test_a_device_that_is_open_is_never_called_gone(case: ConnectorCase) -> None:
    device = case.connect()
    with Path(device.path).open("rb") as opened:
        holder = subprocess.Popen(["sleep", "60"], stdin=opened)
    try:
        for ignore_errors in (False, True) if device.how != "device" else ():
            with pytest.raises(errors.Busy) as busy:
                case.connector.disconnect_volume(case.info, device, ignore_errors=ignore_errors)
            assert f"pid {holder.pid}" in str(busy.value)
        assert case.connector.observe(case.info).found is Found.DONE
    finally:
        holder.kill()
        holder.wait()
    case.disconnect(device)


def test_a_cut_off_device_is_not_valid(case: ConnectorCase) -> None:
    device = case.connect()
    assert case.connector.check_valid_device(device.path)
    case.disconnect(device)
    if device.how != "device":
        assert not case.connector.check_valid_device(device.path)
    assert not case.connector.check_valid_device("/dev/no-such-device")

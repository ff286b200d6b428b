# SPDX-License-Identifier: Apache-2.0
"""Local connections beyond the suite: growth in use, files without a device, and devices whose file is gone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from breezeblock.brick.connector import Identity
from breezeblock.host import loop, mounts
from breezeblock.model import errors
from breezeblock.model.observation import Found
from tests.lab.data_path import MIB, Ground

SIZE = 64 * MIB


def info(path: str, **data: object) -> Mapping[str, Any]:
    return {
        "driver_volume_type": "local",
        "data": {"volume_id": "v1", "path": path, "format": "raw", "size": SIZE, **data},
    }


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "qemu-img", "mkfs.ext4")
def test_a_volume_grows_in_use(ground: Ground) -> None:
    image, connector = ground.image("a", "raw"), ground.local_connector()
    with pytest.raises(errors.NotThere):
        connector.extend_volume(info(image.path))
    device = connector.connect_volume(info(image.path), Identity("v1", SIZE))
    mounts.make_filesystem(device.path, "ext4")
    mounts.mount(device.path, ground.folder / "m")
    try:
        with Path(image.path).open("r+b") as file:
            file.truncate(2 * SIZE)
        assert connector.extend_volume(info(image.path, size=2 * SIZE)) == 2 * SIZE
        assert connector.extend_volume(info(image.path)) == 2 * SIZE
    finally:
        mounts.unmount(ground.folder / "m")
    again = connector.connect_volume(info(image.path), Identity("v1", 2 * SIZE))
    assert (again.path, again.size) == (device.path, 2 * SIZE)
    connector.disconnect_volume(info(image.path), again)


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "qemu-img", "mkfs.ext4")
def test_a_mounted_device_stays_connected_however_it_is_forced(ground: Ground) -> None:
    image, connector = ground.image("a", "raw"), ground.local_connector()
    device = connector.connect_volume(info(image.path), Identity("v1", SIZE))
    mounts.make_filesystem(device.path, "ext4")
    mounts.mount(device.path, ground.folder / "m")
    try:
        with pytest.raises(errors.Busy, match="in use"):
            connector.disconnect_volume(info(image.path), device, force=True, ignore_errors=True)
    finally:
        mounts.unmount(ground.folder / "m")
    assert connector.observe(info(image.path)).found is Found.DONE
    connector.disconnect_volume(info(image.path), device, force=True, ignore_errors=True)
    assert connector.observe(info(image.path)).found is Found.NOT_DONE


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "qemu-img")
def test_a_device_whose_file_was_deleted_goes_all_the_same(ground: Ground) -> None:
    image, connector = ground.image("a", "raw"), ground.local_connector()
    device = connector.connect_volume(info(image.path), Identity("v1", SIZE))
    Path(image.path).unlink()
    connector.disconnect_volume(info(image.path), device)
    assert not Path(f"/sys/block/{Path(device.path).name}/loop/backing_file").exists()


@pytest.mark.requires("qemu-img")
def test_who_is_not_root_gets_the_file(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    image, connector = ground.image("a", "raw"), ground.local_connector()
    assert connector.properties() == {"local": "file"}
    device = connector.connect_volume(info(image.path), Identity("v1", SIZE))
    assert (device.kind, device.path, device.size) == ("file", image.path, SIZE)
    seen = connector.observe(info(image.path))
    assert (seen.found, seen.value) == (Found.DONE, device)
    connector.disconnect_volume(info(image.path), device)
    assert connector.check_valid_device(device.path)


def test_a_format_other_than_raw_is_refused(ground: Ground) -> None:
    with pytest.raises(errors.Unsupported, match="raw"):
        ground.local_connector().connect_volume(info("/x.qcow2", format="qcow2"), Identity("v1", SIZE))
    assert list(ground.left()) == []


def test_an_absent_file_is_said_to_be_absent(ground: Ground) -> None:
    connector = ground.local_connector()
    with pytest.raises(errors.NotThere):
        connector.connect_volume(info("/no/such/file"), Identity("v1", SIZE))
    assert connector.observe(info("/no/such/file")).found is Found.NOT_DONE
    connector.disconnect_volume(info("/no/such/file"), None)


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "qemu-img")
def test_another_file_at_the_same_path_is_another_volume(ground: Ground) -> None:
    image, connector = ground.image("a", "raw"), ground.local_connector()
    first = connector.connect_volume(info(image.path), Identity("v1", SIZE))
    Path(image.path).rename(ground.disks / "kept.raw")
    ground.image("a", "raw")
    second = connector.connect_volume(info(image.path), Identity("v1", SIZE))
    assert second.path != first.path
    connector.disconnect_volume(info(image.path), second)
    left = loop.find(ground.disks / "kept.raw")
    assert left is not None
    loop.detach(left)

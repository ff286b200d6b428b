# SPDX-License-Identifier: Apache-2.0
"""File systems are made only where there was nothing, and unmounted only when nobody works there."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.host import loop, mounts
from breezeblock.model import errors

pytestmark = [pytest.mark.lab, pytest.mark.requires("root", "loop", "mkfs.ext4", "wipefs")]

MIB = 1 << 20


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(400 * MIB)
    made = loop.attach(path)
    yield made.device
    for mount in mounts.mounts():
        if mount.point.startswith(str(tmp_path)):
            mounts.unmount(Path(mount.point))
    loop.detach(made)


@pytest.mark.parametrize("kind", ["ext4", pytest.param("xfs", marks=pytest.mark.requires("mkfs.xfs"))])
def test_a_file_system_is_made_on_an_empty_device_only(device: str, kind: str) -> None:
    assert list(mounts.signatures(device)) == []
    mounts.make_filesystem(device, kind)
    assert list(mounts.signatures(device)) == [kind]
    with pytest.raises(errors.BadRequest, match=kind):
        mounts.make_filesystem(device, "ext4")
    mounts.make_filesystem(device, "ext4", force=True)
    assert list(mounts.signatures(device)) == ["ext4"]


def test_a_partition_table_counts_as_something(device: str) -> None:
    entry = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0x83, 0, 3, 0, 2048, 4096)
    with Path(device).open("r+b") as block:
        block.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
    with pytest.raises(errors.BadRequest):
        mounts.make_filesystem(device, "ext4")
    assert "dos" in mounts.signatures(device)


def test_an_unknown_file_system_is_refused(device: str) -> None:
    with pytest.raises(errors.BadRequest, match="ext4 or xfs"):
        mounts.make_filesystem(device, "vfat")
    assert list(mounts.signatures(device)) == []


def test_mounting_and_unmounting_twice_is_success(device: str, tmp_path: Path) -> None:
    mounts.make_filesystem(device, "ext4")
    point = tmp_path / "a folder\twith blanks"
    mounts.mount(device, point)
    mounts.mount(device, point)
    there = mounts.at(point)
    assert there is not None
    assert (there.source, there.kind) == (device, "ext4")
    assert len([mount for mount in mounts.mounts() if mount.point == str(point)]) == 1
    assert mounts.filesystem_of(point) == "ext4"
    assert not mounts.is_fuse(point)
    mounts.unmount(point)
    mounts.unmount(point)
    assert mounts.at(point) is None


def test_a_place_that_is_taken_is_refused(device: str, tmp_path: Path) -> None:
    mounts.make_filesystem(device, "ext4")
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "m"], check=False, stderr=subprocess.DEVNULL)
    (tmp_path / "m").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "m"], check=True)
    with pytest.raises(errors.Busy, match="tmpfs"):
        mounts.mount(device, tmp_path / "m")
    mounts.unmount(tmp_path / "m")
    assert mounts.at(tmp_path / "m") is None


def test_who_works_there_is_named(device: str, tmp_path: Path) -> None:
    mounts.make_filesystem(device, "ext4")
    mounts.mount(device, tmp_path / "m")
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "m") as worker:
        with pytest.raises(errors.Busy, match=f"pid {worker.pid}"):
            mounts.unmount(tmp_path / "m")
        worker.kill()
    mounts.unmount(tmp_path / "m")


def test_what_is_abandoned_is_out_of_the_tree(device: str, tmp_path: Path) -> None:
    mounts.make_filesystem(device, "ext4")
    mounts.mount(device, tmp_path / "m")
    with (tmp_path / "m" / "open").open("w"):
        mounts.abandon(tmp_path / "m")
        assert mounts.at(tmp_path / "m") is None
    mounts.abandon(tmp_path / "m")

# SPDX-License-Identifier: Apache-2.0
"""Local exports beyond the suite: what is said to whom, and what is found after the file is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from breezeblock.model import errors
from breezeblock.model.observation import Found
from breezeblock.model.reach import BlockReach
from breezeblock.targets.local import LocalTarget
from breezeblock.targets.target import Mode
from tests.lab.data_path import HERE, MIB, Ground


@pytest.mark.requires("qemu-img")
def test_a_file_is_told_by_path_and_format_and_a_device_by_its_path(ground: Ground) -> None:
    target = ground.local()
    file = ground.exported(target, ground.image("a", "raw"))
    told = target.admit(file, HERE, ground.ctx).data
    assert (told["path"], told["format"]) == (str(ground.disks / "a.raw"), "raw")
    block = target.export(BlockReach("/dev/null"), "v2", 64 * MIB, Mode.RW, ground.ctx)
    assert target.admit(block, HERE, ground.ctx).data["device_path"] == "/dev/null"
    for export in (file, block):
        target.unexport(export, ground.ctx, force=True)
    assert list(target.list()) == []


@pytest.mark.requires("qemu-img")
def test_an_export_whose_file_is_gone_is_partial(ground: Ground) -> None:
    target = ground.local()
    export = ground.exported(target, ground.image("a", "raw"))
    (ground.disks / "a.raw").unlink()
    assert target.find(export.name).found is Found.PARTIAL
    target.unexport(export, ground.ctx)
    assert target.find(export.name).found is Found.NOT_DONE


@pytest.mark.requires("qemu-img")
def test_a_qcow2_file_needs_an_exporter(ground: Ground) -> None:
    target = ground.local()
    image = ground.image("a", "qcow2")
    assert not target.accepts(image)
    with pytest.raises(errors.Unsupported):
        ground.exported(target, image)


@pytest.mark.requires("qemu-img")
def test_a_new_size_is_told_to_the_next_who_asks(ground: Ground) -> None:
    target = ground.local()
    assert target.capabilities.live_resize
    export = ground.exported(target, ground.image("a", "raw"))
    target.resized(export, 128 * MIB, ground.ctx)
    assert target.admit(export, HERE, ground.ctx).data["size"] == 128 * MIB
    assert target.live(export) is None
    target.unexport(export, ground.ctx)
    with pytest.raises(errors.NotThere):
        target.resized(export, 256 * MIB, ground.ctx)


@pytest.mark.parametrize("name", ["../x", "volume-../x", "", "other"])
def test_a_name_that_is_not_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(errors.BadRequest):
        LocalTarget(tmp_path).find(name)

# SPDX-License-Identifier: Apache-2.0
"""Maps name what lies where: holes, layers, and the blocks that clones no longer share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breezeblock.host import extent_map, reflink
from breezeblock.host.extent_map import Block
from breezeblock.model.errors import Unsupported
from breezeblock.model.extents import Extent, ExtentKind
from breezeblock.model.units import MiB
from tests.drivers.disks import XFS_SIZE, mounted

STEP = 64 << 10


@pytest.fixture(scope="module")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted("xfs", XFS_SIZE, tmp_path_factory.mktemp("xfs")) as disk:
        yield disk


def put(path: Path, steps: dict[int, int], size: int = 4 * MiB) -> Path:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for step, value in steps.items():
        os.pwrite(fd, bytes([value]) * STEP, step * STEP)
    os.ftruncate(fd, size)
    os.close(fd)
    return path


def copy(source: Path, target: Path) -> Path:
    with source.open("rb") as old, target.open("w+b") as new:
        reflink.clone(old.fileno(), new.fileno())
    return target


def test_a_raw_file_is_its_data_without_its_holes(tmp_path: Path) -> None:
    path = put(tmp_path / "f", {1: 5, 2: 5, 9: 5})
    assert extent_map.of_raw(path, 4 * MiB) == [Extent(STEP, 2 * STEP), Extent(9 * STEP, STEP)]
    assert extent_map.of_raw(put(tmp_path / "g", {}), 4 * MiB) == []


@pytest.mark.requires("qemu-img", "qemu-io")
def test_a_chain_is_mapped_as_a_whole_or_down_to_a_layer(tmp_path: Path) -> None:
    for name, below, slot in (("a", None, 0), ("b", "a", 2), ("c", "b", 4)):
        argv = [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            *(["-b", below, "-F", "qcow2"] if below else []),
            name,
            "1M",
        ]
        subprocess.run(argv, check=True, cwd=tmp_path, timeout=30)
        write = ["qemu-io", "-f", "qcow2", "-c", f"write {slot * STEP} {STEP}", name]
        subprocess.run(write, check=True, cwd=tmp_path, timeout=30, stdout=subprocess.DEVNULL)
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -z 0 {STEP}", "c"],
        check=True,
        cwd=tmp_path,
        timeout=30,
        stdout=subprocess.DEVNULL,
    )
    zero, two, four = Extent(0, STEP, ExtentKind.ZERO), Extent(2 * STEP, STEP), Extent(4 * STEP, STEP)
    top = tmp_path / "c"
    assert extent_map.of_chain(top, MiB, None) == [zero, two, four]
    assert extent_map.of_chain(top, MiB, 1) == [zero, four]
    assert extent_map.of_chain(top, MiB, 2) == [zero, two, four]
    assert extent_map.of_chain(top, MiB, 0) == []


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "mkfs.xfs")
def test_clones_differ_where_one_was_written_to(xfs: Path) -> None:
    old = put(xfs / "old", dict.fromkeys(range(0, 60, 2), 1))
    new = copy(old, xfs / "new")
    assert extent_map.differing(new, old, 4 * MiB) == []
    put(new, {4: 2, 5: 2, 40: 1})
    assert extent_map.differing(new, old, 4 * MiB) == [Extent(4 * STEP, 2 * STEP), Extent(40 * STEP, STEP)]


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "mkfs.xfs", "fallocate")
def test_clones_differ_where_one_was_cut_or_grown(xfs: Path) -> None:
    old = put(xfs / "old2", dict.fromkeys(range(16), 1), size=MiB)
    new = copy(old, xfs / "new2")
    subprocess.run(
        ["fallocate", "-p", "-o", str(2 * STEP), "-l", str(STEP), str(new)], check=True, timeout=30
    )
    put(new, {20: 3}, size=2 * MiB)
    assert extent_map.differing(new, old, 2 * MiB) == [
        Extent(2 * STEP, STEP, ExtentKind.ZERO),
        Extent(20 * STEP, STEP),
    ]


def test_a_clone_is_refused_where_the_file_system_has_none() -> None:
    shm = Path("/dev/shm")
    assert not reflink.works(shm)
    with (shm / f"a{os.getpid()}").open("w+b") as source, (shm / f"b{os.getpid()}").open("w+b") as target:
        for file in (source, target):
            Path(file.name).unlink()
        with pytest.raises(Unsupported, match="xfs or btrfs"):
            reflink.clone(source.fileno(), target.fileno())


# A file of twelve blocks: for each the device block that it lies on, or None for a hole.
places = st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=12, max_size=12)


def runs(layout: list[int | None], vague: bool = False) -> list[Block]:
    """As FIEMAP would tell it: one run a block, or joined where file and device both go on."""
    out: list[Block] = []
    for index, place in enumerate(layout):
        if place is None:
            continue
        physical = place * 1000 + index
        last = out[-1] if out else None
        if (
            last
            and last.end == index
            and last.physical is not None
            and last.physical + last.length == physical
        ):
            out[-1] = Block(last.offset, last.length + 1, last.physical)
        else:
            out.append(Block(index, 1, None if vague and place == 5 else physical))
    return out


@given(places, places)
def test_what_is_not_named_is_shared(new: list[int | None], old: list[int | None]) -> None:
    mine, theirs = runs(new, vague=True), runs(old, vague=True)
    shared = [(block.offset, block.end, block.physical) for block in theirs if block.physical is not None]
    named = {
        at for block in mine for start, end in extent_map._unshared(block, shared) for at in range(start, end)
    }
    gone = {at for start, end in extent_map._gone(mine, theirs) for at in range(start, end)}
    for at in range(12):
        if new[at] is None:
            assert (at in gone) == (old[at] is not None)
        else:
            assert (at in named) == (new[at] != old[at] or new[at] == 5)

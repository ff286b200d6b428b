# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, or becomes full in the middle: NoSpace with its numbers, everything undone, and every byte that was there still
there. On a file system of 64 MiB."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Kind, Object, Spec
from breezeblock.drivers.file import FileDriver, fold
from breezeblock.drivers.file.space import Space
from breezeblock.image.inspector import inspect
from breezeblock.model.call import Context
from breezeblock.model.errors import NoSpace
from breezeblock.model.observation import Found
from breezeblock.model.units import MiB
from tests.conformance.content import SLOT, check, differences, write
from tests.drivers.disks import TINY_SIZE, mounted

SIZE = 32 * MiB
CTX = Context()

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("root", "loop", "mkfs.ext4", "qemu-img", "qemu-io"),
]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    with mounted("ext4", TINY_SIZE, tmp_path) as disk:
        yield disk


def start(disk: Path, **options: object) -> FileDriver:
    driver = FileDriver(disk / "pool", inspect=inspect, **options)  # type: ignore[arg-type]
    driver.start()
    return driver


def make(driver: FileDriver, id: str, source: Object | None = None, slots: int = 0) -> Object:
    volume = driver.create(Spec(id=id, size=SIZE, pool="files"), source, CTX)
    write(driver.reach(volume), dict.fromkeys(range(slots), 1))
    return volume


def holds(driver: FileDriver, obj: Object, *slots: int) -> bool:
    reach = driver.reach(obj)
    check(reach)
    return differences(reach, [*slots, *[0] * (obj.size // SLOT - len(slots))]) == []


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all space but `leave` bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        os.posix_fallocate(file.fileno(), 0, free - max(leave, 256 << 10))
    if not leave:
        with (disk / "crumbs").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
    return ballast


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks made beforehand see no problem: the disk becomes full in the middle of the work."""
    monkeypatch.setattr(Space, "require", lambda *_: None)
    monkeypatch.setattr(Space, "require_promise", lambda *_: None)


def work_left(disk: Path) -> list[str]:
    return [entry.name for entry in (disk / "pool" / "work").iterdir()]


def test_nothing_is_begun_below_what_stays_free(disk: Path) -> None:
    driver = start(disk, keep_free=8 * MiB)
    volume = make(driver, "v", slots=8)
    fill(disk, leave=8 * MiB)
    before = driver.list(None, 10)
    for work in (
        lambda: make(driver, "w"),
        lambda: make(driver, "w", volume),
        lambda: driver.snapshot([(volume, "s")], {}, CTX),
    ):
        with pytest.raises(NoSpace, match="Too little space") as refusal:
            work()
        assert refusal.value.facts["needed_bytes"] > refusal.value.facts["had_bytes"]
        assert "8 MiB" in str(refusal.value)
    assert driver.list(None, 10) == before
    report = driver.pools()[0]
    assert report.free < MiB
    assert report.provisioned > report.total  # a stranger took what was promised: the scheduler sees it


def test_a_small_disk_keeps_a_twentieth_free(disk: Path) -> None:
    driver = start(disk)
    stat = os.statvfs(disk)
    assert driver.pools()[0].free == stat.f_bavail * stat.f_frsize - stat.f_blocks * stat.f_frsize // 20


def test_a_snapshot_that_could_fill_the_disk_under_a_guest_is_refused(disk: Path) -> None:
    driver = start(disk, keep_free=0)
    volume = make(driver, "v", slots=100)  # 25 of 32 MiB; a snapshot promises 25 MiB more
    fill(disk, leave=20 * MiB)
    with pytest.raises(NoSpace, match="guests could fill the disk") as refusal:
        driver.snapshot([(volume, "s")], {}, CTX)
    assert "over-subscription 1" in str(refusal.value)
    assert start(disk, keep_free=0, max_over_subscription_ratio=2.0).snapshot([(volume, "s")], {}, CTX)


def test_what_is_promised_at_ratio_one_fits_when_every_guest_writes_everything(disk: Path) -> None:
    driver = start(disk)
    volumes, number = [], 0
    while True:
        report = driver.pools()[0]
        if report.provisioned + 4 * MiB + MiB > report.total:
            break  # the scheduler would refuse the next one
        number += 1
        volumes.append(driver.create(Spec(id=str(number), size=4 * MiB, pool="files"), None, CTX))
        if number % 3 == 0:
            write(driver.reach(volumes[-1]), dict.fromkeys(range(8), 5))
            try:
                driver.snapshot([(volumes[-1], f"s{number}")], {}, CTX)
            except NoSpace:
                break
    assert number > 5
    for volume in volumes:
        write(driver.reach(volume), dict.fromkeys(range(16), 9))
    assert all(holds(driver, volume, *[9] * 16) for volume in volumes)


@pytest.mark.parametrize("leave", [0, 2 * MiB], ids=["not a byte", "two MiB"])
def test_a_copy_that_meets_a_full_disk_is_undone(
    disk: Path, monkeypatch: pytest.MonkeyPatch, leave: int
) -> None:
    driver = start(disk, deep=1, keep_free=0)
    volume = make(driver, "v", slots=40)
    made = driver.snapshot([(volume, "s")], {}, CTX)[0]
    ballast = fill(disk, leave)
    blind(monkeypatch)
    with pytest.raises(NoSpace, match="became full"):
        driver.create(Spec(id="c", size=SIZE, pool="files"), made, CTX)
    assert driver.find(driver.name("c", Kind.VOLUME)).found is Found.NOT_DONE
    assert work_left(disk) == []
    assert holds(driver, made, *[1] * 40)
    ballast.unlink()
    assert holds(driver, driver.create(Spec(id="c", size=SIZE, pool="files"), made, CTX), *[1] * 40)


def test_a_full_disk_takes_no_new_object_and_loses_none(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = start(disk, keep_free=0)
    volume = make(driver, "v", slots=4)
    before = driver.list(None, 10)
    fill(disk)
    blind(monkeypatch)
    made: list[str] = []
    for number in range(200):  # a file system keeps a few blocks for itself: take those too
        for work in (
            lambda id: make(driver, id),
            lambda id: make(driver, f"{id}-clone", volume),
            lambda id: driver.snapshot([(volume, id)], {}, CTX)[0],
            lambda id: driver.checkpoint(volume, id, None, CTX),
        ):
            try:
                made.append(work(f"x{number}").name)
            except NoSpace:
                assert work_left(disk) == []
                break
        else:
            continue
        break
    else:
        raise AssertionError("the disk never became full")
    assert [obj.name for obj in driver.list(None, 1000)] == sorted([*made, *(obj.name for obj in before)])
    assert differences(driver.reach(volume), [1, 1, 1, 1, 0]) == []
    for obj in driver.list(None, 1000):
        driver.delete(obj, CTX)
    assert driver.list(None, 10) == []
    assert list((disk / "pool" / "layers").iterdir()) == []


@pytest.mark.parametrize("way", ["commit", "rebase"])
def test_a_fold_that_meets_a_full_disk_leaves_both_layers_whole(
    disk: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    driver = start(disk, keep_free=0, max_over_subscription_ratio=10.0)
    volume = make(driver, "v", slots=12)
    made = driver.snapshot([(volume, "s")], {}, CTX)[0]
    ours = range(20, 44) if way == "commit" else range(20, 80)
    write(driver.reach(volume), dict.fromkeys(ours, 2))
    ballast = fill(disk, leave=MiB)
    blind(monkeypatch)
    driver.delete(made, CTX)
    assert driver.find(made.name).found is Found.NOT_DONE
    expected = [*[1] * 12, *[0] * 8, *[2] * len(ours)]
    assert holds(driver, volume, *expected)
    assert len(list((disk / "pool" / "layers").iterdir())) == 2
    ballast.unlink()
    assert driver.tidy({}, CTX) == 1
    assert len(list((disk / "pool" / "layers").iterdir())) == 1
    assert holds(driver, volume, *expected)


def test_a_file_too_large_to_be_copied_in_stays_where_it_is(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = start(disk, keep_free=0, adopt_from=[tmp_path])
    (tmp_path / "big.raw").write_bytes(b"\1" * TINY_SIZE)
    with pytest.raises(NoSpace, match="Too little space"):
        driver.adopt({"source-name": str(tmp_path / "big.raw")}, "v", CTX)
    blind(monkeypatch)
    with pytest.raises(NoSpace, match="became full"):
        driver.adopt({"source-name": str(tmp_path / "big.raw")}, "v", CTX)
    assert driver.list(None, 10) == []
    assert work_left(disk) == []
    assert (tmp_path / "big.raw").stat().st_size == TINY_SIZE

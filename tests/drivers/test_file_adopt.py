# SPDX-License-Identifier: Apache-2.0
"""Files that are there become volumes: looked at by their header alone, moved or copied whole, and never lost when they are refused."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Object
from breezeblock.drivers.file import FileDriver
from breezeblock.image.inspector import inspect
from breezeblock.model.call import Context
from breezeblock.model.errors import BadFormat, BadRequest, Busy, Cancelled, NotThere, Unsupported
from breezeblock.model.units import MiB
from tests.conformance.content import SLOT, differences, write

CTX = Context()

pytestmark = pytest.mark.requires("qemu-img", "qemu-io")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the tests' own."""
    place = Path("/dev/shm") / f"adopt-{os.getpid()}"
    if not place.parent.is_dir() or place.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    place.mkdir()
    yield place
    for entry in place.iterdir():
        entry.unlink()
    place.rmdir()


@pytest.fixture
def driver(tmp_path: Path, outside: Path) -> FileDriver:
    driver = FileDriver(
        tmp_path / "pool", inspect=inspect, adopt_from=[outside, Path(f"/dev/shm/adopt-{os.getpid()}")]
    )
    driver.start()
    return driver


def adopt_folder(tmp_path: Path) -> Path:
    return tmp_path / "pool" / "adopt"


def take(driver: FileDriver, name: str | Path, format: str = "") -> Object:
    ref = {"source-name": str(name)} | ({"format": format} if format else {})
    return driver.adopt(ref, "v", CTX)


def holds(driver: FileDriver, obj: Object, *slots: int) -> bool:
    return differences(driver.reach(obj), [*slots, *[0] * (obj.size // SLOT - len(slots))]) == []


def raw(path: Path, size: int = MiB) -> Path:
    path.write_bytes(b"\x07" * SLOT)
    os.truncate(path, size)
    return path


#: Where a qcow2 header names its encryption: 0 none, 1 AES, 2 LUKS (qemu, docs/interop/qcow2.txt).
_CRYPT_METHOD = 32


def qcow2(path: Path, *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "1M"], check=True)
    return path


def test_a_raw_file_becomes_a_volume_as_it_is(driver: FileDriver, tmp_path: Path) -> None:
    source = raw(adopt_folder(tmp_path) / "disk.img")
    inode = source.stat().st_ino
    volume = take(driver, "disk.img")
    assert (volume.name, volume.size) == ("volume-v", MiB)
    assert not source.exists()
    assert Path(driver.reach(volume).path).stat().st_ino == inode
    assert holds(driver, volume, 7)
    made = driver.snapshot([(volume, "s")], {}, CTX)[0]
    write(driver.reach(volume), {0: 8})
    assert holds(driver, made, 7)
    assert take(driver, "disk.img") == driver.find(volume.name).value


def test_a_qcow2_file_becomes_a_volume_as_it_is(driver: FileDriver, outside: Path) -> None:
    source = qcow2(outside / "disk.qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -P 7 0 {SLOT}", str(source)], check=True)
    volume = take(driver, source)
    assert volume.size == MiB
    assert holds(driver, volume, 7)


def test_a_raw_file_ends_with_a_whole_sector(driver: FileDriver, outside: Path) -> None:
    assert take(driver, raw(outside / "odd", SLOT + 100)).size == SLOT + 512


def test_raw_bytes_may_look_like_an_image_when_somebody_says_that_they_are_raw(
    driver: FileDriver, outside: Path
) -> None:
    source = qcow2(outside / "guest-wrote-a-header", "-b", "/etc/passwd", "-F", "raw", "-u")
    size = source.stat().st_size
    with pytest.raises(BadFormat, match="backing file"):
        take(driver, source)
    assert take(driver, source, "raw").size == -(-size // 512) * 512


def test_a_file_on_another_file_system_is_copied_and_stays(driver: FileDriver, elsewhere: Path) -> None:
    source = raw(elsewhere / "disk.img", 64 * MiB)
    seen: list[tuple[int, int]] = []
    ctx = Context(progress=lambda done, total: seen.append((done, total)))
    volume = driver.adopt({"source-name": str(source)}, "v", ctx)
    assert holds(driver, volume, 7)
    assert source.exists()
    assert seen[-1] == (SLOT, SLOT)  # holes are not copied
    assert driver.pools()[0].allocated < 8 * MiB


def test_a_cancelled_copy_leaves_nothing(driver: FileDriver, elsewhere: Path, tmp_path: Path) -> None:
    source = raw(elsewhere / "disk.img")

    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        driver.adopt({"source-name": str(source)}, "v", Context(check=check))
    assert driver.list(None, 10) == []
    assert list((tmp_path / "pool" / "work").iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["-b", "/etc/passwd", "-F", "raw", "-u"],
        ["-o", "data_file=data.raw,data_file_raw=on"],
        None,
    ],
    ids=["backing file", "data file", "encrypted"],
)
def test_an_image_that_is_more_than_itself_is_refused_and_stays(
    driver: FileDriver, outside: Path, options: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(outside)
    source = qcow2(outside / "trap.qcow2", *(options or []))
    if (
        options is None
    ):  # as qemu-img makes it, but for the second it takes to derive a LUKS key: tests/image has a real one
        with source.open("r+b") as file:
            file.seek(_CRYPT_METHOD)
            file.write(struct.pack(">I", 2))
    with pytest.raises(BadFormat, match="not acceptable"):
        take(driver, source)
    assert source.exists()
    assert driver.list(None, 10) == []


def test_paths_outside_the_allowed_folders_are_refused(
    driver: FileDriver, tmp_path: Path, outside: Path
) -> None:
    secret = raw(tmp_path / "secret")
    (outside / "way-out").symlink_to(tmp_path)
    for name in (
        str(secret),
        "../../secret",
        str(outside / ".." / "secret"),
        str(outside / "way-out" / "secret"),
    ):
        with pytest.raises(BadRequest, match="does not lie where"):
            take(driver, name)
    for name in ("", "..", "/", str(outside)):
        with pytest.raises(BadRequest):
            take(driver, name)
    assert secret.exists()


def test_only_plain_files_with_one_name_that_nobody_writes_to_are_taken(
    driver: FileDriver, outside: Path
) -> None:
    source = raw(outside / "disk")
    (outside / "link").symlink_to(source)
    with pytest.raises(BadFormat, match="no plain file"):
        take(driver, outside / "link")
    os.mkfifo(outside / "pipe")
    with pytest.raises(BadFormat, match="no plain file"):
        take(driver, outside / "pipe")
    os.link(source, outside / "second-name")
    with pytest.raises(BadFormat, match="other names"):
        take(driver, source)
    (outside / "second-name").unlink()
    with source.open("r+b"), pytest.raises(Busy, match="in use"):
        take(driver, source)
    with pytest.raises(NotThere):
        take(driver, outside / "absent")
    (outside / "empty").touch()
    with pytest.raises(BadFormat, match="empty"):
        take(driver, outside / "empty")
    assert holds(driver, take(driver, source), 7)


def test_a_file_that_is_swapped_while_it_is_taken_is_given_back(tmp_path: Path, outside: Path) -> None:
    source = raw(outside / "disk")

    def slow_inspect(path: Path, stated: str | None) -> object:
        facts = inspect(path, stated)
        if path == source:
            qcow2(source, "-b", "/etc/passwd", "-F", "raw", "-u")
        return facts

    driver = FileDriver(tmp_path / "pool", inspect=slow_inspect, adopt_from=[outside])  # type: ignore[arg-type]
    driver.start()
    with pytest.raises(BadFormat, match="backing file"):
        take(driver, source)
    assert source.exists()
    assert driver.list(None, 10) == []
    driver.start()
    assert source.exists()


def test_without_an_inspector_nothing_is_taken(tmp_path: Path) -> None:
    driver = FileDriver(tmp_path / "pool")
    driver.start()
    with pytest.raises(Unsupported, match="inspector"):
        take(driver, "disk")

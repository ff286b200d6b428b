# SPDX-License-Identifier: Apache-2.0
"""How the file driver's tree grows and shrinks: chains stay short, attached volumes keep their bytes, and folds give way."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Kind, Object, Spec
from breezeblock.drivers.file import FileDriver, fold
from breezeblock.drivers.file.tree import Tree
from breezeblock.host import qemu_img
from breezeblock.model.call import Context
from breezeblock.model.errors import Busy, Cancelled, Fenced
from breezeblock.model.observation import Found
from breezeblock.model.units import MiB
from tests.conformance.content import SLOT, check, differences, write
from tests.drivers.guest import Guest

SIZE = 2 * MiB
CTX = Context()

pytestmark = pytest.mark.requires("qemu-img", "qemu-io")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileDriver:
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    driver = FileDriver(tmp_path / "pool")
    driver.start()
    if driver._layers.clones:
        pytest.skip("the tests' folder can clone files: no overlays here")
    return driver


def make(driver: FileDriver, id: str, source: Object | None = None, size: int = SIZE) -> Object:
    return driver.create(Spec(id=id, size=size, pool="files"), source, CTX)


def snapshot(driver: FileDriver, volume: Object, id: str, guest: Guest | None = None) -> Object:
    return driver.snapshot([(volume, id)], {volume.id: guest} if guest else {}, CTX)[0]


def tree(driver: FileDriver) -> Tree:
    return driver._layers.reader.read()


def depth(driver: FileDriver, obj: Object) -> int:
    seen = tree(driver)
    return len(seen.chain(seen.names[obj.name]))


def holds(driver: FileDriver, obj: Object, *slots: int) -> bool:
    reach = driver.reach(obj)
    check(reach)
    return differences(reach, [*slots, *[0] * (obj.size // SLOT - len(slots))]) == []


@contextlib.contextmanager
def held_open(path: str, *options: str) -> Iterator[None]:
    """Another process has the image (and what it stands on) open, with QEMU's locks."""
    process = subprocess.Popen(
        ["qemu-io", *options, "-f", "qcow2", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("length\n")
        process.stdin.flush()
        while "MiB" not in process.stdout.readline():
            assert process.poll() is None
        yield
    finally:
        process.communicate("quit\n", timeout=10)


def test_a_chain_does_not_grow_with_snapshots_that_are_deleted(driver: FileDriver) -> None:
    volume = make(driver, "v")
    for round in range(6):
        write(driver.reach(volume), {round: round + 1})
        driver.delete(snapshot(driver, volume, f"s{round}"), CTX)
    assert depth(driver, volume) == 1
    assert len(tree(driver).layers) == 1
    assert holds(driver, volume, 1, 2, 3, 4, 5, 6)


def test_a_small_base_is_copied_up_and_a_small_overlay_down(driver: FileDriver) -> None:
    volume = make(driver, "v", size=64 * MiB)
    write(driver.reach(volume), {0: 1})
    small_base = snapshot(driver, volume, "small-base")
    write(driver.reach(volume), dict.fromkeys(range(1, 100), 2))
    leaf = tree(driver).names[volume.name]
    inode = (driver._layers.path(leaf)).stat().st_ino
    driver.delete(small_base, CTX)
    assert driver._layers.path(leaf).stat().st_ino == inode  # rebased in place
    large_base = snapshot(driver, volume, "large-base")
    write(driver.reach(volume), {0: 3})
    leaf = tree(driver).names[volume.name]
    inode = driver._layers.path(tree(driver).names[large_base.name]).stat().st_ino
    driver.delete(large_base, CTX)
    assert driver._layers.path(leaf).stat().st_ino == inode  # committed and renamed
    assert depth(driver, volume) == 1
    assert holds(driver, volume, 3, *[2] * 99)


def test_clones_of_a_volume_that_nobody_writes_to_do_not_lengthen_its_chain(driver: FileDriver) -> None:
    golden = make(driver, "golden")
    write(driver.reach(golden), {0: 1})
    clones = [make(driver, f"c{number}", golden) for number in range(5)]
    assert depth(driver, golden) == 2
    assert {depth(driver, clone) for clone in clones} == {2}
    assert all(holds(driver, clone, 1) for clone in clones)


def test_a_snapshot_of_an_unwritten_clone_belongs_to_the_clone(driver: FileDriver) -> None:
    golden = make(driver, "golden")
    write(driver.reach(golden), {0: 1})
    clone = make(driver, "c", golden)
    assert snapshot(driver, clone, "s").parent == clone.name


def test_a_volume_from_a_deep_source_is_a_copy(tmp_path: Path) -> None:
    driver = FileDriver(tmp_path / "pool", deep=3)
    driver.start()
    volume = make(driver, "v")
    for round in range(4):
        write(driver.reach(volume), {round: round + 1})
        made = snapshot(driver, volume, f"s{round}")
    seen: list[tuple[int, int]] = []
    ctx = Context(progress=lambda done, total: seen.append((done, total)))
    copy = driver.create(Spec(id="c", size=2 * SIZE, pool="files"), made, ctx)
    assert depth(driver, copy) == 1
    assert holds(driver, copy, 1, 2, 3, 4)
    assert all(0 <= done <= total for done, total in seen)
    assert depth(driver, make(driver, "d", volume)) == 1


def test_a_cancelled_copy_leaves_nothing(tmp_path: Path) -> None:
    driver = FileDriver(tmp_path / "pool", deep=1)
    driver.start()
    volume = make(driver, "v")
    made = snapshot(driver, volume, "s")

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        driver.create(Spec(id="c", size=SIZE, pool="files"), made, Context(check=cancel))
    assert driver.find(driver.name("c", Kind.VOLUME)).found is Found.NOT_DONE
    assert list((tmp_path / "pool" / "work").iterdir()) == []


# Attached volumes


def attach(driver: FileDriver, volume: Object, tmp_path: Path) -> Guest:
    return Guest(tmp_path / f"guest-{volume.id}", driver.reach(volume).path)


def test_an_attached_volume_is_snapshotted_through_its_live_port(driver: FileDriver, tmp_path: Path) -> None:
    volume = make(driver, "v")
    guest = attach(driver, volume, tmp_path)
    guest.write({0: 1})
    made = snapshot(driver, volume, "s", guest)
    guest.write({0: 2})
    point = driver.checkpoint(volume, "p", guest, CTX)
    guest.write({1: 3})
    assert guest.active() == driver.reach(volume).path
    assert holds(driver, made, 1)
    assert holds(driver, point, 2)
    assert holds(driver, volume, 2, 3)
    assert [e.offset // SLOT for e in driver.extents(point, made).extents] == [0]


def test_an_attached_volume_grows_through_its_live_port(driver: FileDriver, tmp_path: Path) -> None:
    volume = make(driver, "v")
    guest = attach(driver, volume, tmp_path)
    grown = driver.extend(volume, 2 * SIZE, guest, CTX)
    assert grown.size == 2 * SIZE
    assert driver.find(volume.name).value == grown


def test_an_attached_volume_is_never_worked_on_behind_its_back(driver: FileDriver) -> None:
    volume = make(driver, "v")
    write(driver.reach(volume), {0: 1})
    with held_open(driver.reach(volume).path):
        for work in (
            lambda: snapshot(driver, volume, "s"),
            lambda: make(driver, "c", volume),
            lambda: driver.extend(volume, 2 * SIZE, None, CTX),
            lambda: driver.extents(volume, None),
        ):
            with pytest.raises(Busy):
                work()
    assert depth(driver, volume) == 1


def test_layers_below_an_attached_volume_are_folded_by_its_exporter(
    driver: FileDriver, tmp_path: Path
) -> None:
    volume = make(driver, "v")
    guest = attach(driver, volume, tmp_path)
    guest.write({0: 1})
    kept = snapshot(driver, volume, "kept", guest)
    dropped = []
    for round in range(3):
        guest.write({round: 2})
        dropped.append(snapshot(driver, volume, f"s{round}", guest))
    guest.write({3: 3})
    with held_open(guest.active()):
        for made in dropped:
            driver.delete(made, CTX)
        assert depth(driver, volume) > 2
    assert driver.tidy({volume.id: guest}, CTX) > 0
    assert depth(driver, volume) == 2
    assert holds(driver, volume, 2, 2, 2, 3)
    assert holds(driver, kept, 1)
    driver.delete(kept, CTX)
    assert depth(driver, volume) == 1


# Folds give way


def test_nothing_is_folded_below_what_was_handed_out_a_moment_ago(
    driver: FileDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = make(driver, "v")
    write(driver.reach(volume), {0: 1})
    made = snapshot(driver, volume, "s")
    write(driver.reach(volume), {1: 2})
    monkeypatch.setattr(fold, "HAND_OUT", 60.0)
    driver.reach(volume)
    driver.delete(made, CTX)
    assert depth(driver, volume) == 2
    assert driver.tidy({}, CTX) == 0
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    assert driver.tidy({}, CTX) == 1
    assert depth(driver, volume) == 1
    assert holds(driver, volume, 1, 2)


def test_handing_out_a_volume_ends_a_fold_below_it(
    driver: FileDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = make(driver, "v")
    write(driver.reach(volume), {0: 1})
    made = snapshot(driver, volume, "s")
    write(driver.reach(volume), {1: 2})
    commit = qemu_img.commit
    times: list[float] = []

    def interrupted(overlay: Path, mover: object) -> None:
        monkeypatch.setattr(qemu_img, "commit", commit)
        monkeypatch.setattr(fold, "_PATIENCE", 0.05)  # the fold hangs in this very thread
        began = time.monotonic()
        assert driver.reach(volume).path == str(overlay)
        times.append(time.monotonic() - began)
        commit(overlay, mover)  # type: ignore[arg-type]

    monkeypatch.setattr(qemu_img, "commit", interrupted)
    driver.delete(made, CTX)
    assert times
    assert depth(driver, volume) == 2
    assert holds(driver, volume, 1, 2)


def test_a_leaf_that_was_written_to_during_a_fold_is_not_replaced(
    driver: FileDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = make(driver, "v")
    write(driver.reach(volume), {0: 1})
    made = snapshot(driver, volume, "s")
    write(driver.reach(volume), {1: 2})
    commit, path = qemu_img.commit, driver.reach(volume)

    def then_written(overlay: Path, mover: object) -> None:
        commit(overlay, mover)  # type: ignore[arg-type]
        write(path, {0: 7, 2: 7})

    monkeypatch.setattr(qemu_img, "commit", then_written)
    driver.delete(made, CTX)
    assert holds(driver, volume, 7, 2, 7)
    assert depth(driver, volume) == 2
    monkeypatch.setattr(qemu_img, "commit", commit)
    assert driver.tidy({}, CTX) == 1
    assert holds(driver, volume, 7, 2, 7)


# Names, locks and what is not ours


def test_a_layer_that_cannot_be_read_stops_every_sweep(driver: FileDriver, tmp_path: Path) -> None:
    volume = make(driver, "v")
    write(driver.reach(volume), {0: 1})
    made = snapshot(driver, volume, "s")
    leaf = Path(driver.reach(volume).path)
    whole = leaf.read_bytes()
    leaf.write_bytes(b"damaged!" + whole[8:])
    driver.delete(made, CTX)  # only what lies above the base is damaged: the base must stay
    assert len(list((tmp_path / "pool" / "layers").iterdir())) == 2
    assert "cannot be read" in driver.pools()[0].reason
    leaf.write_bytes(whole)
    driver.tidy({}, CTX)
    assert holds(driver, volume, 1)


def test_strangers_files_among_the_layers_are_left_alone(driver: FileDriver, tmp_path: Path) -> None:
    note = tmp_path / "pool" / "layers" / "README"
    note.write_text("hands off")
    driver.delete(make(driver, "v"), CTX)
    driver.start()
    assert note.read_text() == "hands off"
    assert driver.list(None, 10) == []


def test_locks_of_deleted_objects_are_kept_for_a_day_and_then_swept(
    driver: FileDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = make(driver, "kept")
    gone = make(driver, "gone")
    driver.delete(gone, Context("o", 5))
    locks = tmp_path / "pool" / "locks"
    driver.start()
    assert (locks / gone.name).exists()
    with pytest.raises(Fenced):
        driver.create(Spec(id="gone", size=SIZE, pool="files"), None, Context("o", 4))
    monkeypatch.setattr("breezeblock.drivers.file.locks.KEPT_SECONDS", -1.0)
    driver.start()
    assert sorted(entry.name for entry in locks.iterdir()) == [".tree", kept.name]


def test_a_folder_that_is_not_mounted_is_unknown_not_empty(driver: FileDriver, tmp_path: Path) -> None:
    volume = make(driver, "v")
    (tmp_path / "pool").rename(tmp_path / "elsewhere")
    assert driver.find(volume.name).found is Found.UNKNOWN
    (tmp_path / "pool").mkdir()
    assert driver.find(volume.name).found is Found.UNKNOWN
    (tmp_path / "pool").rmdir()
    (tmp_path / "elsewhere").rename(tmp_path / "pool")
    assert driver.find(volume.name).value == volume

# SPDX-License-Identifier: Apache-2.0
"""The file driver under a real storage daemon: a client writes over NBD, without a pause and without an error, while its volume is
snapshotted, checkpointed, folded and cloned."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Object, Spec
from breezeblock.drivers.file import FileDriver, fold
from breezeblock.model.call import Context
from breezeblock.model.errors import Busy
from breezeblock.model.units import MiB
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.target import Export, Mode
from tests.conformance.content import SLOT, check, differences
from tests.lab.data_path import HERE, Ground

CTX = Context()
SIZE = 16 * MiB
SLOTS = SIZE // SLOT

pytestmark = [
    pytest.mark.lab,
    pytest.mark.requires("qemu-storage-daemon", "qemu-img", "qemu-io"),
]


class Client:
    """One connection that stays open: writes slots and reads them back."""

    def __init__(self, uri: str) -> None:
        self._process = subprocess.Popen(
            ["qemu-io", "-f", "raw", uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _say(self, command: str, until: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        lines: list[str] = []
        while True:
            line = self._process.stdout.readline()
            assert line, lines
            lines.append(line)
            if until in line:
                return lines

    def write(self, slot: int, value: int) -> None:
        said = self._say(f"write -P {value} {slot * SLOT} {SLOT}", "ops/sec")
        assert not any("failed" in line for line in said), said

    def reads(self, slot: int, value: int) -> bool:
        said = self._say(f"read -P {value} {slot * SLOT} {SLOT}", "ops/sec")
        return not any("failed" in line for line in said)

    def close(self) -> None:
        self._process.communicate("quit\n", timeout=20)


@contextlib.contextmanager
def attached(target: NbdTarget, driver: FileDriver, volume: Object) -> Iterator[tuple[Export, Client]]:
    export = target.export(driver.reach(volume), volume.id, volume.size, Mode.RW, CTX)
    client = Client(str(target.admit(export, HERE, CTX).data["uri"]))
    try:
        yield export, client
    finally:
        client.close()
        target.dismiss(export, None, CTX)
        target.unexport(export, CTX)


@pytest.fixture
def driver(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> FileDriver:
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    driver = FileDriver(ground.folder / "pool")
    driver.start()
    if driver._layers.clones:
        pytest.skip("the tests' folder can clone files: no overlays here")
    return driver


def create(driver: FileDriver, id: str, source: Object | None = None) -> Object:
    return driver.create(Spec(id=id, size=SIZE, pool="files"), source, CTX)


def holds(driver: FileDriver, obj: Object, *slots: int) -> bool:
    reach = driver.reach(obj)
    return differences(reach, [*slots, *[0] * (SLOTS - len(slots))]) == []


def depth(driver: FileDriver, volume: Object) -> int:
    tree = driver._layers.reader.read()
    return len(tree.chain(tree.names[volume.name]))


def test_points_in_time_of_an_attached_volume_are_whole(driver: FileDriver, ground: Ground) -> None:
    target, volume = ground.nbd(), create(driver, "v")
    made: list[Object] = []
    with attached(target, driver, volume) as (export, client):
        live = target.live(export)
        assert live is not None
        for generation in range(1, 5):
            client.write(0, generation)
            client.write(generation, generation)
            made += driver.snapshot([(volume, f"s{generation}")], {volume.id: live}, CTX)
        point = driver.checkpoint(volume, "p", live, CTX)
        client.write(0, 9)
        assert live.active() == driver.reach(volume).path
        clone = create(driver, "c", point)
        # The exporter still keeps open what it has stopped writing to: no reason to call others busy.
        driver.delete(driver.snapshot([(clone, "cs")], {}, CTX)[0], CTX)
        with pytest.raises(Busy):
            create(driver, "d", volume)
        with pytest.raises(Busy):
            driver.delete(volume, CTX)
        for generation, snapshot in enumerate(made, 1):
            assert holds(driver, snapshot, generation, *range(1, generation + 1))
        assert holds(driver, clone, 4, 1, 2, 3, 4)
        assert [e.offset // SLOT for e in driver.extents(made[3], made[2]).extents] == [0, 4]
        for snapshot in [*made[1:], point, clone]:
            driver.delete(snapshot, CTX)
        assert depth(driver, volume) == 6  # the exporter holds them all
        assert driver.tidy({volume.id: live}, CTX) > 0
        assert depth(driver, volume) == 2
        assert all(client.reads(slot, value) for slot, value in enumerate([9, 1, 2, 3, 4, 0]))
        client.write(5, 5)
    check(driver.reach(volume))
    assert holds(driver, volume, 9, 1, 2, 3, 4, 5)
    assert holds(driver, made[0], 1, 1)
    driver.delete(made[0], CTX)
    assert depth(driver, volume) == 1
    assert holds(driver, volume, 9, 1, 2, 3, 4, 5)


def test_a_client_that_never_pauses_loses_nothing(driver: FileDriver, ground: Ground) -> None:
    target, volume = ground.nbd(), create(driver, "v")
    stop, written = threading.Event(), [0] * SLOTS
    with attached(target, driver, volume) as (export, client):

        def keep_writing() -> None:
            value = 0
            while not stop.is_set():
                value = value % 250 + 1
                for slot in range(0, SLOTS, 3):
                    client.write(slot, value)
                    written[slot] = value

        writer = threading.Thread(target=keep_writing)
        writer.start()
        try:
            live = target.live(export)
            assert live is not None
            for round in range(6):
                made = driver.snapshot([(volume, f"s{round}")], {volume.id: live}, CTX)[0]
                driver.delete(made, CTX)
                driver.tidy({volume.id: live}, CTX)
        finally:
            stop.set()
            writer.join(30)
    assert not writer.is_alive()
    driver.tidy({}, CTX)
    assert depth(driver, volume) == 1
    check(driver.reach(volume))
    assert holds(driver, volume, *written)


def test_an_exporter_left_behind_by_a_crash_is_brought_forward(driver: FileDriver, ground: Ground) -> None:
    target, volume = ground.nbd(), create(driver, "v")
    with attached(target, driver, volume) as (export, client):
        live = target.live(export)
        assert live is not None
        active = live.active
        client.write(0, 1)

        class Dead(Exception):
            pass

        class Dying:
            """The driver dies just before it tells the exporter."""

            def active(self) -> str:
                return active()

            def snapshot(self, overlay: str) -> None:
                raise Dead

            resize = fold = snapshot

        with pytest.raises(Dead):
            driver.snapshot([(volume, "s")], {volume.id: Dying()}, CTX)  # type: ignore[dict-item]
        client.write(1, 2)
        again = FileDriver(ground.folder / "pool")
        again.start()
        assert Path(again.reach(volume).path) != Path(live.active())
        client.write(2, 3)
        made = again.snapshot([(volume, "s")], {volume.id: live}, CTX)[0]
        client.write(0, 9)
        assert live.active() == again.reach(volume).path
        assert holds(again, made, 1, 2, 3)
    assert holds(again, volume, 9, 2, 3)


def test_a_volume_is_attached_while_it_would_be_folded(driver: FileDriver, ground: Ground) -> None:
    target, volume = ground.nbd(), create(driver, "v")
    with attached(target, driver, volume) as (_, client):
        for slot in range(SLOTS):
            client.write(slot, 1)
    made = driver.snapshot([(volume, "s")], {}, CTX)[0]
    with attached(target, driver, volume) as (_, client):
        for slot in range(0, SLOTS, 2):
            client.write(slot, 2)
    deleting = threading.Thread(target=driver.delete, args=(made, CTX))
    fold_before, fold.HAND_OUT = fold.HAND_OUT, 60.0
    try:
        deleting.start()
        with attached(target, driver, volume) as (_, client):
            client.write(1, 3)
            deleting.join(20)
            assert client.reads(0, 2)
    finally:
        fold.HAND_OUT = fold_before
    driver.tidy({}, CTX)
    expected = [2 if slot % 2 == 0 else 1 for slot in range(SLOTS)]
    expected[1] = 3
    check(driver.reach(volume))
    assert holds(driver, volume, *expected)
    assert depth(driver, volume) == 1

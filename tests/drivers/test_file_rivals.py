# SPDX-License-Identifier: Apache-2.0
"""Many at once: threads and processes work on one folder, owners are killed while a mover moves, and every byte is where it belongs."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from breezeblock.drivers.driver import Object, Spec
from breezeblock.drivers.file import FileDriver, fold
from breezeblock.drivers.file.layers import Layers
from breezeblock.drivers.file.tree import Layer
from breezeblock.model.call import Context
from breezeblock.model.observation import Found
from breezeblock.model.units import MiB
from tests.conformance.content import SLOT, check, differences, write

SIZE = MiB
CTX = Context()

pytestmark = [pytest.mark.slow, pytest.mark.requires("qemu-img", "qemu-io")]


@pytest.fixture(autouse=True)
def _opened_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "HAND_OUT", 1.0)


def start(root: Path, deep: int = 64) -> FileDriver:
    driver = FileDriver(root, deep=deep, max_over_subscription_ratio=1000.0)
    driver.start()
    return driver


def holds(driver: FileDriver, obj: Object, *slots: int) -> bool:
    reach = driver.reach(obj)
    check(reach)
    return differences(reach, [*slots, *[0] * (obj.size // SLOT - len(slots))]) == []


def live(driver: FileDriver, golden: Object, who: str, rounds: int) -> None:
    """One user's life: volumes from a shared source, written, snapshotted, cloned, deleted in a shuffled order."""
    chance = random.Random(who)
    for round in range(rounds):
        id = f"{who}-{round}"
        volume = driver.create(Spec(id=id, size=SIZE, pool="files"), golden, CTX)
        assert holds(driver, volume, 1)
        write(driver.reach(volume), {1: 2})
        made = driver.snapshot([(volume, id)], {}, CTX)[0]
        write(driver.reach(volume), {0: 3})
        clone = driver.create(Spec(id=f"{id}-c", size=2 * SIZE, pool="files"), volume, CTX)
        left = [(volume, [3, 2]), (made, [1, 2]), (clone, [3, 2])]
        chance.shuffle(left)
        while left:
            for obj, slots in left:
                assert holds(driver, obj, *slots), (obj.name, slots)
            driver.delete(left.pop()[0], CTX)


def golden_in(driver: FileDriver) -> Object:
    volume = driver.create(Spec(id="golden", size=SIZE, pool="files"), None, CTX)
    write(driver.reach(volume), {0: 1})
    return driver.snapshot([(volume, "golden")], {}, CTX)[0]


def is_clean(driver: FileDriver, root: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    driver.tidy({}, CTX)
    names = [obj.name for obj in driver.list(None, 100)]
    return names == ["snapshot-golden", "volume-golden"] and len(list((root / "layers").iterdir())) == 2


def test_threads_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = start(tmp_path / "pool")
    golden = golden_in(driver)
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(live, driver, golden, f"t{number}", 2) for number in range(6)]:
            done.result()
    assert is_clean(driver, tmp_path / "pool", monkeypatch)


def test_processes_do_not_meet_while_others_start_and_tidy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "pool"
    driver = start(root)
    golden = golden_in(driver)
    children = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                live(start(root), golden, f"p{number}", 3)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(pid)
    codes: list[int] = []
    while len(codes) < len(children):
        start(root).tidy({}, CTX)
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            codes.append(ended[1])
            if len(codes) == len(children):
                break
    assert codes == [0, 0, 0]
    assert is_clean(driver, root, monkeypatch)


@pytest.mark.parametrize("after", [0.0, 0.06])
@pytest.mark.parametrize("verb", ["copy", "commit", "rebase"])
def test_an_owner_killed_while_its_mover_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, after: float
) -> None:
    """Tens of MiB are on their way when the owner dies; the mover dies with it and the next owner finishes."""
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    root, slots = tmp_path / "pool", 160
    driver = start(root, deep=1 if verb == "copy" else 64)
    volume = driver.create(Spec(id="v", size=slots * SLOT, pool="files"), None, CTX)
    below = dict.fromkeys(range(4 if verb == "rebase" else slots), 1)
    write(driver.reach(volume), below)
    made = driver.snapshot([(volume, "s")], {}, CTX)[0]
    above = dict.fromkeys(range(1, slots, 2 if verb == "commit" else 1), 2) if verb != "copy" else {}
    write(driver.reach(volume), above)
    expected = [(below | above).get(slot, 0) for slot in range(slots)]
    pid = os.fork()
    if pid == 0:
        try:
            if verb == "copy":
                driver.create(Spec(id="c", size=slots * SLOT, pool="files"), made, Context("o", 1))
            else:
                driver.delete(made, Context("o", 1))
        finally:
            os._exit(0)
    limit = time.monotonic() + 10
    while not list((root / "work").glob("*.mover")) and time.monotonic() < limit:
        if os.waitpid(pid, os.WNOHANG)[0]:
            pytest.skip("it was faster than this test can look")
        time.sleep(0.001)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    driver = start(root, deep=1 if verb == "copy" else 64)
    assert list((root / "work").iterdir()) == []
    assert holds(driver, volume, *expected)
    if verb == "copy":
        assert driver.find("volume-c").found in (Found.NOT_DONE, Found.DONE)
        copy = driver.create(Spec(id="c", size=slots * SLOT, pool="files"), made, Context("o", 2))
        assert holds(driver, copy, *expected)
        return
    driver.delete(made, Context("o", 2))
    driver.tidy({}, CTX)
    assert len(list((root / "layers").iterdir())) == 1
    assert holds(driver, volume, *expected)


@pytest.mark.parametrize("verb", ["clone", "snapshot"])
def test_a_fold_between_the_freezing_and_the_name_leaves_nothing_standing_on_air(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    driver, tidier = start(tmp_path / "pool"), start(tmp_path / "pool")
    volume = driver.create(Spec(id="one", size=SIZE, pool="files"), None, CTX)
    write(driver.reach(volume), {0: 1})
    folded: list[int] = []
    freeze = Layers.freeze

    def tidied(self: Layers, *args: Any, **options: Any) -> Layer:
        frozen = freeze(self, *args, **options)
        if not folded:
            folded.append(tidier.tidy({}, CTX))
        return frozen

    monkeypatch.setattr(Layers, "freeze", tidied)
    if verb == "clone":
        made = driver.create(Spec(id="two", size=SIZE, pool="files"), volume, CTX)
    else:
        made = driver.snapshot([(volume, "two")], {}, CTX)[0]
    assert folded == [1]
    assert holds(driver, made, 1)
    assert holds(driver, volume, 1)

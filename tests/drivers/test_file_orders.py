# SPDX-License-Identifier: Apache-2.0
"""Any tree of volumes, snapshots and clones, grown and cut in any order: what is left reads as it must, and nothing stays behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from breezeblock.drivers.driver import Object, Spec
from breezeblock.drivers.file import FileDriver, fold
from breezeblock.model.call import Context
from breezeblock.model.units import MiB
from tests.conformance.content import SLOT, check, differences, write
from tests.drivers.disks import XFS_SIZE, mounted

SIZE = 1 * MiB
SLOTS = SIZE // SLOT
CTX = Context()

pytestmark = [pytest.mark.slow, pytest.mark.requires("qemu-img", "qemu-io")]


class Forest(RuleBasedStateMachine):
    """The driver beside a model: a dict from object to the list of its slots."""

    #: Where the folders are made; None: where temporary files lie.
    disk: ClassVar[Path | None] = None
    volumes, points = Bundle("volumes"), Bundle("points")

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=self.disk)
        self.driver = FileDriver(Path(self.place.name) / "pool", deep=5)
        self.driver.start()
        self.model: dict[str, tuple[Object, list[int]]] = {}
        self.made = 0

    def _id(self) -> str:
        self.made += 1
        return str(self.made)

    def _add(self, obj: Object, slots: list[int]) -> str:
        self.model[obj.name] = (obj, slots)
        return obj.name

    @rule(target=volumes)
    def create(self) -> str:
        volume = self.driver.create(Spec(id=self._id(), size=SIZE, pool="files"), None, CTX)
        return self._add(volume, [0] * SLOTS)

    @rule(target=volumes, source=st.one_of(volumes, points))
    def create_from(self, source: str) -> str:
        origin, slots = self.model[source]
        volume = self.driver.create(Spec(id=self._id(), size=origin.size, pool="files"), origin, CTX)
        return self._add(volume, list(slots))

    @rule(volume=volumes, slot=st.integers(0, SLOTS - 1), value=st.integers(1, 255))
    def write(self, volume: str, slot: int, value: int) -> None:
        obj, slots = self.model[volume]
        write(self.driver.reach(obj), {slot: value})
        slots[slot] = value

    @rule(target=points, volume=volumes)
    def snapshot(self, volume: str) -> str:
        obj, slots = self.model[volume]
        return self._add(self.driver.snapshot([(obj, self._id())], {}, CTX)[0], list(slots))

    @rule(volume=volumes)
    def extend(self, volume: str) -> None:
        obj, slots = self.model[volume]
        if obj.size < 4 * SIZE:
            self.model[volume] = (
                self.driver.extend(obj, obj.size + SIZE, None, CTX),
                slots + [0] * SLOTS,
            )

    @rule(point=points, data=st.data())
    def revert(self, point: str, data: st.DataObject) -> None:
        made, slots = self.model[point]
        if made.parent in self.model:
            obj = self.model[made.parent][0]
            self.model[made.parent] = (
                self.driver.revert(obj, made, CTX),
                slots + [0] * (obj.size // SLOT - len(slots)),
            )

    @rule(name=st.one_of(consumes(volumes), consumes(points)))
    def delete(self, name: str) -> None:
        self.driver.delete(self.model.pop(name)[0], CTX)

    @rule()
    def restart(self) -> None:
        self.driver = FileDriver(Path(self.place.name) / "pool", deep=5)
        self.driver.start()

    @rule()
    def tidy(self) -> None:
        self.driver.tidy({}, CTX)
        assert self.driver.tidy({}, CTX) == 0

    @invariant()
    def everything_reads_as_it_must(self) -> None:
        assert [obj.name for obj in self.driver.list(None, 1000)] == sorted(self.model)
        for obj, slots in self.model.values():
            assert self.driver.find(obj.name).value == obj
            assert differences(self.driver.reach(obj), slots) == []

    def teardown(self) -> None:
        for obj, _ in self.model.values():
            check(self.driver.reach(obj))
        for obj, _ in list(self.model.values()):
            self.driver.delete(obj, CTX)
        left = [
            entry.name
            for part in ("layers", "work")
            for entry in (Path(self.place.name) / "pool" / part).iterdir()
        ]
        self.place.cleanup()
        assert left == []


def grow_and_cut(examples: int) -> None:
    # The layers are small: with this ratio about half of the folds go each way.
    with mock.patch.object(fold, "HAND_OUT", 0.0), mock.patch.object(fold, "_MUCH", 1):
        run_state_machine_as_test(
            Forest,
            settings=settings(
                max_examples=examples,
                stateful_step_count=20,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )


def test_any_tree_of_layers_cut_in_any_order_keeps_what_is_left() -> None:
    grow_and_cut(10)
    assert Forest.disk is None


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "mkfs.xfs")
def test_any_tree_of_clones_cut_in_any_order_keeps_what_is_left(tmp_path: Path) -> None:
    with mounted("xfs", XFS_SIZE, tmp_path) as disk, mock.patch.object(Forest, "disk", disk):
        grow_and_cut(5)
        assert list(disk.iterdir()) == []

# SPDX-License-Identifier: Apache-2.0
"""What every Driver must do, as sentences. A driver's own test gives the fixtures `driver` (started, in an empty pool) and `restarted`
(a function: another instance on the same storage), and collects this class. Bytes are judged by QEMU, not by the driver."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable

import pytest

from breezeblock.drivers.driver import Driver, Kind, Object, Spec
from breezeblock.model.call import Context
from breezeblock.model.errors import BadSize, Busy, Fenced, Malformed, NotThere, Unsupported
from breezeblock.model.extents import ExtentKind, Extents
from breezeblock.model.observation import Found
from breezeblock.model.units import MiB
from tests.conformance import content
from tests.conformance.content import SLOT, differences, write

#: Volumes of the tests: eight slots.
SIZE = 2 * MiB
SLOTS = SIZE // SLOT


def new_id() -> str:
    return str(uuid.uuid4())


def context(fence: int = 1) -> Context:
    return Context(new_id(), fence)


def make(driver: Driver, source: Object | None = None, size: int = SIZE) -> Object:
    return driver.create(Spec(id=new_id(), size=size, pool=driver.pools()[0].name), source, context())


def snapshot(driver: Driver, volume: Object) -> Object:
    return driver.snapshot([(volume, new_id())], {}, context())[0]


def holds(driver: Driver, obj: Object, *slots: int) -> bool:
    """The object reads as these slots, and as zeros after them."""
    expected = [*slots, *[0] * (obj.size // SLOT - len(slots))]
    return differences(driver.reach(obj), expected) == []


def covers(extents: Extents, slot: int) -> bool:
    """Some extent touches the slot."""
    return any(e.offset < (slot + 1) * SLOT and e.end > slot * SLOT for e in extents.extents)


class DriverConformance:
    """Collected by each driver's test file."""

    # Volumes

    def test_a_new_volume_reads_as_zeros_and_has_its_size(self, driver: Driver) -> None:
        volume = make(driver)
        assert (volume.kind, volume.size) == (Kind.VOLUME, SIZE)
        assert holds(driver, volume)

    def test_a_name_is_derived_from_the_id_alone(self, driver: Driver) -> None:
        volume = make(driver)
        assert volume.name == driver.name(volume.id, Kind.VOLUME)
        assert len({driver.name(volume.id, kind) for kind in Kind}) == 3

    def test_an_id_that_is_no_name_is_refused(self, driver: Driver) -> None:
        for id in ("../etc", "a/b", "", "a b", "x" * 100):
            with pytest.raises(Malformed):
                driver.name(id, Kind.VOLUME)

    def test_creating_again_changes_nothing(self, driver: Driver) -> None:
        spec = Spec(id=new_id(), size=SIZE, pool=driver.pools()[0].name)
        first = driver.create(spec, None, context())
        write(driver.reach(first), {0: 7})
        assert driver.create(spec, None, context()) == first
        assert holds(driver, first, 7)

    def test_sizes_that_no_disk_has_are_refused(self, driver: Driver) -> None:
        for size in (0, -512, 1000):
            with pytest.raises(BadSize):
                make(driver, size=size)
        assert driver.list(None, 10) == []

    def test_a_deleted_volume_is_gone_and_deleting_again_is_success(self, driver: Driver) -> None:
        volume = make(driver)
        driver.delete(volume, context())
        driver.delete(volume, context())
        assert driver.find(volume.name).found is Found.NOT_DONE
        assert driver.list(None, 10) == []

    def test_a_volume_that_is_written_to_is_busy(self, driver: Driver) -> None:
        volume = make(driver)
        made = snapshot(driver, volume)
        with open(driver.reach(volume).path, "r+b"):
            for work in (
                lambda: driver.delete(volume, context()),
                lambda: driver.revert(volume, made, context()),
            ):
                with pytest.raises(Busy, match="in use"):
                    work()
        driver.delete(volume, context())

    # Looking

    def test_find_tells_what_is_there_and_what_is_not(self, driver: Driver) -> None:
        volume = make(driver)
        assert driver.find(volume.name).value == volume
        assert driver.find(driver.name(new_id(), Kind.VOLUME)).found is Found.NOT_DONE

    def test_a_listing_is_in_name_order_and_can_be_read_in_pages(self, driver: Driver) -> None:
        volumes = [make(driver) for _ in range(5)]
        points = [snapshot(driver, volumes[0]), driver.checkpoint(volumes[1], new_id(), None, context())]
        whole = driver.list(None, 100)
        assert [obj.name for obj in whole] == sorted(obj.name for obj in [*volumes, *points])
        pages: list[Object] = []
        after: str | None = None
        while page := driver.list(after, 3):
            pages += page
            after = page[-1].name
        assert pages == list(whole)

    def test_another_instance_sees_the_same(self, driver: Driver, restarted: Callable[[], Driver]) -> None:
        volume = make(driver)
        write(driver.reach(volume), {1: 9})
        made = snapshot(driver, volume)
        other = restarted()
        assert other.list(None, 10) == driver.list(None, 10)
        assert other.find(made.name).value == made
        assert holds(other, volume, 0, 9)

    # Points in time

    def test_a_snapshot_keeps_what_the_volume_held(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1, 1: 1})
        made = snapshot(driver, volume)
        write(driver.reach(volume), {1: 2, 2: 2})
        assert (made.kind, made.size, made.parent) == (Kind.SNAPSHOT, SIZE, volume.name)
        assert holds(driver, made, 1, 1)
        assert holds(driver, volume, 1, 2, 2)

    def test_a_snapshot_taken_again_is_the_first_one(self, driver: Driver) -> None:
        volume, id = make(driver), new_id()
        write(driver.reach(volume), {0: 1})
        first = driver.snapshot([(volume, id)], {}, context())
        write(driver.reach(volume), {0: 2})
        assert driver.snapshot([(volume, id)], {}, context()) == first
        assert holds(driver, first[0], 1)

    def test_several_detached_volumes_are_snapshotted_in_one_call(self, driver: Driver) -> None:
        volumes = [make(driver), make(driver)]
        ids = [new_id(), new_id()]
        made = driver.snapshot(list(zip(volumes, ids, strict=True)), {}, context())
        assert [(m.id, m.parent) for m in made] == [(ids[0], volumes[0].name), (ids[1], volumes[1].name)]

    def test_a_snapshot_of_nothing_is_not_there(self, driver: Driver) -> None:
        volume = make(driver)
        driver.delete(volume, context())
        with pytest.raises(NotThere):
            snapshot(driver, volume)

    def test_a_checkpoint_is_a_point_in_time_of_its_own_kind(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 3})
        point = driver.checkpoint(volume, new_id(), None, context())
        write(driver.reach(volume), {0: 4})
        assert (point.kind, point.parent) == (Kind.CHECKPOINT, volume.name)
        assert holds(driver, point, 3)
        driver.delete(point, context())
        assert driver.find(point.name).found is Found.NOT_DONE
        assert holds(driver, volume, 4)

    def test_deleting_in_any_order_leaves_the_others_whole(self, driver: Driver) -> None:
        for order in itertools.permutations(range(4)):
            volume = make(driver)
            write(driver.reach(volume), {0: 1, 1: 1})
            made = snapshot(driver, volume)
            write(driver.reach(volume), {1: 2})
            copy = make(driver, made)
            write(driver.reach(copy), {2: 3})
            clone = make(driver, volume)
            objects = [(volume, [1, 2]), (made, [1, 1]), (copy, [1, 1, 3]), (clone, [1, 2])]
            for done, index in enumerate(order):
                driver.delete(objects[index][0], context(2))
                for left in order[done + 1 :]:
                    assert holds(driver, objects[left][0], *objects[left][1]), (order, done, left)
        assert driver.list(None, 10) == []

    def test_a_volume_with_many_generations_of_snapshots_stays_readable(self, driver: Driver) -> None:
        volume, kept = make(driver), []
        for generation in range(1, 7):
            write(driver.reach(volume), {generation % 4: generation})
            kept.append(snapshot(driver, volume))
            if len(kept) > 2:
                driver.delete(kept.pop(0), context(2))
        assert holds(driver, kept[0], 4, 5, 2, 3)
        assert holds(driver, kept[1], 4, 5, 6, 3)
        assert holds(driver, volume, 4, 5, 6, 3)
        content.check(driver.reach(volume))

    # Volumes from volumes

    def test_a_volume_from_a_snapshot_may_be_larger_and_ends_in_zeros(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1, SLOTS - 1: 8})
        made = snapshot(driver, volume)
        larger = make(driver, made, size=2 * SIZE)
        assert larger.size == 2 * SIZE
        assert holds(driver, larger, 1, 0, 0, 0, 0, 0, 0, 8)
        write(driver.reach(larger), {0: 5, 2 * SLOTS - 1: 5})
        assert holds(driver, made, 1, 0, 0, 0, 0, 0, 0, 8)

    def test_a_volume_smaller_than_its_source_is_refused(self, driver: Driver) -> None:
        volume = make(driver)
        made = snapshot(driver, volume)
        for source in (volume, made):
            with pytest.raises(BadSize, match="smaller"):
                make(driver, source, size=SIZE // 2)

    def test_a_clone_and_its_source_go_separate_ways(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1})
        clone = make(driver, volume)
        write(driver.reach(volume), {0: 2})
        write(driver.reach(clone), {1: 3})
        second = make(driver, clone)
        assert holds(driver, volume, 2)
        assert holds(driver, clone, 1, 3)
        driver.delete(volume, context())
        driver.delete(clone, context())
        assert holds(driver, second, 1, 3)

    def test_a_source_that_is_gone_is_not_there(self, driver: Driver) -> None:
        volume = make(driver)
        made = snapshot(driver, volume)
        driver.delete(made, context())
        with pytest.raises(NotThere):
            make(driver, made)

    # Growing and going back

    def test_a_volume_grows_and_keeps_its_bytes(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {SLOTS - 1: 4})
        made = snapshot(driver, volume)
        grown = driver.extend(volume, 2 * SIZE, None, context())
        assert grown.size == 2 * SIZE
        assert holds(driver, grown, 0, 0, 0, 0, 0, 0, 0, 4)
        write(driver.reach(grown), {2 * SLOTS - 1: 6})
        assert driver.find(made.name).value == made
        assert holds(driver, make(driver, grown, size=2 * SIZE), *[0] * 7, 4, *[0] * 7, 6)

    def test_a_volume_never_shrinks_and_growing_again_is_success(self, driver: Driver) -> None:
        volume = driver.extend(make(driver), 2 * SIZE, None, context())
        assert driver.extend(volume, 2 * SIZE, None, context()) == volume
        assert driver.extend(volume, SIZE, None, context()) == volume

    def test_a_reverted_volume_holds_what_the_snapshot_holds(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1})
        made = snapshot(driver, volume)
        write(driver.reach(volume), {0: 2, 1: 2})
        later = snapshot(driver, volume)
        assert driver.revert(volume, made, context()) == volume
        assert holds(driver, volume, 1)
        write(driver.reach(volume), {2: 3})
        assert holds(driver, made, 1)
        assert holds(driver, later, 2, 2)
        driver.revert(volume, later, context())
        assert holds(driver, volume, 2, 2)

    def test_a_revert_keeps_the_size_that_the_volume_has_grown_to(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1})
        made = snapshot(driver, volume)
        grown = driver.extend(volume, 2 * SIZE, None, context())
        write(driver.reach(grown), {2 * SLOTS - 1: 9})
        assert driver.revert(grown, made, context()).size == 2 * SIZE
        assert holds(driver, grown, 1)

    # Extents

    def test_extents_name_what_holds_data(self, driver: Driver) -> None:
        volume = make(driver)
        assert driver.extents(volume, None) == Extents(SIZE, [])
        write(driver.reach(volume), {1: 5, 2: 5, 6: 5})
        found = driver.extents(volume, None)
        assert found.exact
        assert [slot for slot in range(SLOTS) if covers(found, slot)] == [1, 2, 6]
        assert found.data_bytes() == 3 * SLOT

    def test_extents_of_a_point_in_time_reach_through_what_it_stands_on(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1})
        snapshot(driver, volume)
        write(driver.reach(volume), {3: 1})
        found = driver.extents(snapshot(driver, volume), None)
        assert [covers(found, slot) for slot in range(5)] == [True, False, False, True, False]

    def test_extents_since_a_checkpoint_name_what_changed_and_little_else(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), dict.fromkeys(range(SLOTS), 1))
        before = driver.checkpoint(volume, new_id(), None, context())
        assert driver.extents(volume, before).extents == []
        write(driver.reach(volume), {2: 2, 5: 2})
        after = driver.checkpoint(volume, new_id(), None, context())
        write(driver.reach(volume), {7: 3})
        found = driver.extents(after, before)
        assert [covers(found, slot) for slot in range(SLOTS)] == [slot in (2, 5) for slot in range(SLOTS)]
        assert not found.exact
        assert [slot for slot in range(SLOTS) if covers(driver.extents(volume, before), slot)] == [2, 5, 7]

    def test_extents_since_name_what_was_discarded_and_what_was_added(self, driver: Driver) -> None:
        volume = make(driver)
        write(driver.reach(volume), {0: 1, 1: 1})
        before = driver.checkpoint(volume, new_id(), None, context())
        grown = driver.extend(volume, 2 * SIZE, None, context())
        content.discard(driver.reach(grown), 0)
        found = driver.extents(grown, before)
        assert covers(found, 0)
        assert not covers(found, 1)
        assert all(e.kind is ExtentKind.ZERO for e in found.extents if e.offset < SLOT)

    def test_extents_since_an_unrelated_point_are_refused(self, driver: Driver) -> None:
        first, second = make(driver), make(driver)
        write(driver.reach(first), {0: 1})
        write(driver.reach(second), {0: 1})
        with pytest.raises(Unsupported):
            driver.extents(first, snapshot(driver, second))

    # Fencing

    def test_an_owner_that_was_taken_over_is_fenced_out(self, driver: Driver) -> None:
        volume = make(driver)  # token 1
        made = snapshot(driver, volume)
        driver.extend(volume, SIZE, None, context(5))
        for work in (
            lambda: driver.delete(volume, context(4)),
            lambda: driver.extend(volume, 2 * SIZE, None, context(4)),
            lambda: driver.revert(volume, made, context(4)),
            lambda: driver.create(Spec(id=volume.id, size=SIZE, pool=volume.pool), None, context(4)),
        ):
            with pytest.raises(Fenced):
                work()
        driver.delete(volume, context(5))

    def test_what_a_newer_owner_has_undone_an_older_one_cannot_make_again(self, driver: Driver) -> None:
        spec = Spec(id=new_id(), size=SIZE, pool=driver.pools()[0].name)
        driver.delete(driver.create(spec, None, context(7)), context(8))
        with pytest.raises(Fenced):
            driver.create(spec, None, context(7))
        assert driver.list(None, 10) == []

    # Pools

    def test_a_pool_report_is_older_than_what_it_measured(self, driver: Driver) -> None:
        before = time.time()
        report = driver.pools()[0]
        assert before <= report.sampled_at <= time.time()
        assert 0 <= report.free <= report.total
        assert report.usable

    def test_a_pool_counts_what_is_taken_and_what_is_promised(self, driver: Driver) -> None:
        empty = driver.pools()[0]
        volume = make(driver, size=64 * MiB)
        promised = driver.pools()[0]
        assert promised.provisioned - empty.provisioned >= 64 * MiB
        write(driver.reach(volume), dict.fromkeys(range(16), 1))
        written = driver.pools()[0]
        assert written.allocated - promised.allocated >= 16 * SLOT
        assert abs(written.provisioned - promised.provisioned) < MiB
        made = snapshot(driver, volume)
        assert driver.pools()[0].provisioned - written.provisioned >= 16 * SLOT
        driver.delete(made, context())
        driver.delete(volume, context())
        assert abs(driver.pools()[0].provisioned - empty.provisioned) < MiB

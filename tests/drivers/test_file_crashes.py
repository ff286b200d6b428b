# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every point that a verb passes, then a new owner: what was there before is whole, repeating the verb finishes it, deleting
what it made undoes it, and in the end nothing is left over."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Kind, Object, Spec
from breezeblock.drivers.file import FileDriver, fold
from breezeblock.host import killpoint
from breezeblock.image.inspector import inspect
from breezeblock.model.call import Context
from breezeblock.model.errors import Fenced
from breezeblock.model.observation import Found
from breezeblock.model.units import MiB
from tests.conformance.content import SLOT, check, differences, write
from tests.drivers.disks import XFS_SIZE, mounted
from tests.drivers.guest import Guest

SIZE = 2 * MiB
SLOTS = SIZE // SLOT

pytestmark = [pytest.mark.slow, pytest.mark.requires("qemu-img", "qemu-io")]


@pytest.fixture(autouse=True)
def _opened_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "HAND_OUT", 0.0)
    monkeypatch.setattr(fold, "_MUCH", fold._MUCH)  # put back whatever a verb sets


@pytest.fixture(scope="module")
def xfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted("xfs", XFS_SIZE, tmp_path_factory.mktemp("xfs")) as disk:
        yield disk


@pytest.fixture(
    params=[
        "layers",
        pytest.param("clones", marks=[pytest.mark.lab, pytest.mark.requires("root", "loop", "mkfs.xfs")]),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "layers":
        return tmp_path
    place: Path = request.getfixturevalue("xfs") / tmp_path.name
    place.mkdir()
    return place


def context(fence: int) -> Context:
    return Context("operation", fence)


def obj(name: str) -> Object:
    kind, _, id = name.partition("-")
    return Object(kind=Kind(kind), id=id, name=name, size=SIZE)


VOLUME, EARLY, LATE, CLONE = obj("volume-v"), obj("snapshot-early"), obj("snapshot-late"), obj("volume-c")
NEW, POINT = obj("volume-new"), obj("snapshot-new")
ZEROS = [0] * SLOTS
#: What `prepare` makes, with its content.
BEFORE: dict[str, list[int]] = {
    VOLUME.name: [3, 2, 1, *ZEROS[3:]],
    EARLY.name: [1, 1, 1, *ZEROS[3:]],
    LATE.name: [2, 2, 1, *ZEROS[3:]],
    CLONE.name: [2, 2, 1, 5, *ZEROS[4:]],
}


def start(place: Path, deep: int = 64) -> FileDriver:
    driver = FileDriver(place / "pool", inspect=inspect, adopt_from=[Path("/dev/shm")], deep=deep)
    driver.start()
    return driver


def prepare(place: Path) -> None:
    """v, with snapshots early and late of it, and a clone of late that was written to."""
    driver = start(place)
    driver.create(Spec(id="v", size=SIZE, pool="files"), None, context(1))
    write(driver.reach(VOLUME), {0: 1, 1: 1, 2: 1})
    driver.snapshot([(VOLUME, "early")], {}, context(1))
    write(driver.reach(VOLUME), {0: 2, 1: 2})
    driver.snapshot([(VOLUME, "late")], {}, context(1))
    write(driver.reach(VOLUME), {0: 3})
    driver.create(Spec(id="c", size=SIZE, pool="files"), LATE, context(1))
    write(driver.reach(CLONE), {3: 5})
    (place / "pool" / "adopt" / "disk.raw").write_bytes(b"\x09" * SLOT)
    Guest(place / "guest", driver.reach(VOLUME).path)


class Verb:
    """A verb under test: `act(driver, place, fence)`; afterwards exactly the names of `after` hold what it says."""

    def __init__(
        self,
        act: Callable[[FileDriver, Path, int], object],
        *,
        adds: dict[str, list[int]] | None = None,
        drops: tuple[str, ...] = (),
        changes: dict[str, list[int]] | None = None,
        deep: int = 64,
    ) -> None:
        self.act, self.adds, self.drops, self.changes, self.deep = act, adds or {}, drops, changes or {}, deep

    def after(self) -> dict[str, list[int]]:
        kept = {name: slots for name, slots in BEFORE.items() if name not in self.drops}
        return kept | self.adds | self.changes


def new(size: int = SIZE) -> Spec:
    return Spec(id="new", size=size, pool="files")


def pull_up(driver: FileDriver, fence: int) -> None:
    """Delete a snapshot so small beside the next layer that its bytes are copied up."""
    fold._MUCH = 0
    driver.delete(EARLY, context(fence))


def fold_live(driver: FileDriver, place: Path, fence: int) -> None:
    driver.delete(LATE, context(fence))
    driver.delete(CLONE, context(fence))
    driver.tidy({"v": Guest(place / "guest")}, context(fence))


VERBS = {
    "create": Verb(lambda d, p, f: d.create(new(), None, context(f)), adds={NEW.name: ZEROS}),
    "create from a snapshot": Verb(
        lambda d, p, f: d.create(new(2 * SIZE), EARLY, context(f)),
        adds={NEW.name: [*BEFORE[EARLY.name], *ZEROS]},
    ),
    "clone": Verb(
        lambda d, p, f: d.create(new(), VOLUME, context(f)), adds={NEW.name: BEFORE[VOLUME.name]}
    ),
    "copy": Verb(
        lambda d, p, f: d.create(new(), LATE, context(f)), adds={NEW.name: BEFORE[LATE.name]}, deep=1
    ),
    "snapshot": Verb(
        lambda d, p, f: d.snapshot([(VOLUME, "new")], {}, context(f)), adds={POINT.name: BEFORE[VOLUME.name]}
    ),
    "live snapshot": Verb(
        lambda d, p, f: d.snapshot([(VOLUME, "new")], {"v": Guest(p / "guest")}, context(f)),
        adds={POINT.name: BEFORE[VOLUME.name]},
    ),
    "revert": Verb(
        lambda d, p, f: d.revert(VOLUME, EARLY, context(f)), changes={VOLUME.name: BEFORE[EARLY.name]}
    ),
    "extend": Verb(
        lambda d, p, f: d.extend(VOLUME, 2 * SIZE, None, context(f)),
        changes={VOLUME.name: [*BEFORE[VOLUME.name], *ZEROS]},
    ),
    "delete a volume": Verb(lambda d, p, f: d.delete(VOLUME, context(f)), drops=(VOLUME.name,)),
    "delete a snapshot": Verb(lambda d, p, f: d.delete(EARLY, context(f)), drops=(EARLY.name,)),
    "delete a snapshot that is pulled up": Verb(lambda d, p, f: pull_up(d, f), drops=(EARLY.name,)),
    "delete a snapshot with a clone": Verb(lambda d, p, f: d.delete(LATE, context(f)), drops=(LATE.name,)),
    "fold live": Verb(fold_live, drops=(LATE.name, CLONE.name)),
    "adopt": Verb(
        lambda d, p, f: d.adopt({"source-name": "disk.raw"}, "new", context(f)), adds={NEW.name: [9]}
    ),
    "adopt from another disk": Verb(
        lambda d, p, f: d.adopt({"source-name": f"/dev/shm/{p.name}.raw"}, "new", context(f)), adds={NEW.name: [8]}
    ),
}  # fmt: skip


class _Recorder:
    """Stands in for an armed point's name: equal to none, and remembers which were asked for."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __eq__(self, other: object) -> bool:
        with self._file.open("a") as out:
            out.write(f"{other}\n")
        return False

    __hash__ = None  # type: ignore[assignment]


def in_child(work: Callable[[], object]) -> int:
    """Run in a forked process; returns its wait status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def act(verb: Verb, place: Path, point: str) -> Callable[[], object]:
    def work() -> None:
        driver = start(place, verb.deep)
        killpoint.arm(point)
        verb.act(driver, place, 2)

    return work


def points_of(verb: Verb, place: Path) -> list[str]:
    """Every point that the verb passes, as `name:nth`."""
    seen = place / "seen"

    def work() -> None:
        driver = start(place, verb.deep)
        killpoint._kill.name = _Recorder(seen)  # type: ignore[assignment]
        verb.act(driver, place, 2)

    assert in_child(work) == 0
    names = seen.read_text().split()
    return [f"{name}:{names[: index + 1].count(name)}" for index, name in enumerate(names)]


def wrong(driver: FileDriver, expected: dict[str, list[int]]) -> dict[str, list[int]]:
    """Objects whose bytes or tables are not as expected, among those that are expected."""
    found = {}
    for name, slots in expected.items():
        reach = driver.reach(obj(name))
        check(reach)
        bad = differences(reach, slots)
        if bad:
            found[name] = bad
    return found


def leftovers(place: Path, driver: FileDriver) -> list[str]:
    """What is left when every object has been deleted."""
    for found in driver.list(None, 100):
        driver.delete(found, context(9))
    folder = place / "pool"
    parts = ("work", "layers", "volumes", "snapshots", "checkpoints")
    return [f"{part}/{entry.name}" for part in parts for entry in (folder / part).iterdir()]


@pytest.mark.parametrize("name", VERBS)
def test_killed_at_any_point(name: str, place: Path) -> None:
    verb = VERBS[name]
    original = place / "original"
    original.mkdir()
    prepare(original)
    if "another disk" in name:
        for copy_name in ("p", "u", "r"):
            Path(f"/dev/shm/{copy_name}.raw").write_bytes(b"\x08" * SLOT)

    def fresh(copy: str) -> Path:
        target = place / copy
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(original, target, symlinks=True)
        Guest(
            target / "guest", str(target / "pool" / "layers" / Path(Guest(original / "guest").active()).name)
        )
        return target

    points = points_of(verb, fresh("p"))
    assert points
    unaffected = {n: s for n, s in BEFORE.items() if n not in verb.drops and n not in verb.changes}
    for point in points:
        # repeated by the next owner
        copy = fresh("r")
        assert in_child(act(verb, copy, point)) == signal.SIGKILL, point
        driver = start(copy, verb.deep)
        assert list((copy / "pool" / "work").iterdir()) == [], point
        assert wrong(driver, unaffected) == {}, point
        for changed, slots in verb.changes.items():  # all or nothing
            seen = driver.find(changed).value
            assert seen is not None
            either = [slots, [*BEFORE[changed], *ZEROS]]
            assert any(not differences(driver.reach(seen), s[: seen.size // SLOT]) for s in either), point
        verb.act(driver, copy, 3)
        assert wrong(driver, verb.after()) == {}, point
        assert [o.name for o in driver.list(None, 100)] == sorted(verb.after()), point
        assert leftovers(copy, driver) == [], point
        # undone by the next owner
        if verb.adds:
            copy = fresh("u")
            assert in_child(act(verb, copy, point)) == signal.SIGKILL, point
            driver = start(copy, verb.deep)
            for added in verb.adds:
                driver.delete(obj(added), context(3))
                assert driver.find(added).found is Found.NOT_DONE
            assert wrong(driver, BEFORE) == {}, point
            assert [o.name for o in driver.list(None, 100)] == sorted(BEFORE), point
            assert leftovers(copy, driver) == [], point
    for copy_name in ("p", "u", "r"):
        Path(f"/dev/shm/{copy_name}.raw").unlink(missing_ok=True)


@pytest.mark.parametrize("detach", [False, True], ids=["snapshot again", "detach instead"])
def test_a_guest_that_writes_on_after_a_crash_loses_nothing(place: Path, detach: bool) -> None:
    verb = VERBS["live snapshot"]
    original = place / "original"
    original.mkdir()
    prepare(original)
    (place / "p").mkdir()
    shutil.copytree(original, place / "p", symlinks=True, dirs_exist_ok=True)
    layers = Path(Guest(original / "guest").active())
    Guest(place / "p" / "guest", str(place / "p" / "pool" / "layers" / layers.name))
    for point in points_of(verb, place / "p"):
        copy = place / "r"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(original, copy, symlinks=True)
        guest = Guest(copy / "guest", str(copy / "pool" / "layers" / layers.name))
        assert in_child(act(verb, copy, point)) == signal.SIGKILL
        guest.write({5: 7})
        driver = start(copy)
        guest.write({6: 7})
        now = [3, 2, 1, 0, 0, 7, 7, 0]
        if not detach:
            driver.snapshot([(VOLUME, "new")], {"v": guest}, context(3))
            assert Path(guest.active()) == Path(driver.reach(VOLUME).path)
            seen = driver.reach(POINT)
            assert any(not differences(seen, slots) for slots in (now, BEFORE[VOLUME.name])), point
            guest.write({7: 9})
            now[7] = 9
            assert any(not differences(seen, slots) for slots in ([*now[:7], 0], BEFORE[VOLUME.name])), point
        assert (
            wrong(driver, {VOLUME.name: now, EARLY.name: BEFORE[EARLY.name], LATE.name: BEFORE[LATE.name]})
            == {}
        ), point
        assert leftovers(copy, driver) == [], point


def test_an_owner_stopped_before_it_publishes_finds_itself_fenced_out(place: Path) -> None:
    prepare(place)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            driver = start(place, deep=1)
            killpoint._stop.name = "file.copy.drafted"
            driver.create(new(), LATE, context(2))
        except Fenced:
            code = 42
        finally:
            os._exit(code)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    driver = start(place)
    assert driver.find(NEW.name).found is Found.PARTIAL
    driver.delete(NEW, context(3))
    assert driver.find(NEW.name).found is Found.NOT_DONE
    os.kill(pid, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    assert driver.find(NEW.name).found is Found.NOT_DONE
    assert wrong(driver, BEFORE) == {}
    assert leftovers(place, driver) == []

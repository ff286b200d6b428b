# SPDX-License-Identifier: Apache-2.0
"""SIGKILL before and after every intent, in the middle of every effect, after it, during its undo, and again during recovery: every
verb ends in a legal state with nothing lost and nothing left. Everyday one kill a verb; all of them with the mark `slow`, and with
BREEZEBLOCK_TEST_KILLS=all at every point on every backend, every recovery killed too and not every other one."""

from __future__ import annotations

import os

import pytest

from breezeblock.operations.registry import FLOWS
from tests.crash.cases import CASES, Case
from tests.crash.kill_points import TALLY, discover, expected, kill, written
from tests.crash.world import World
from tests.crash.worlds import Worlds

ALL = os.environ.get("BREEZEBLOCK_TEST_KILLS") == "all"
BACKENDS = ("overlays", "clones")
RUNS = [(backend, case) for backend in BACKENDS for case in CASES if case.only in ("", backend)]

#: Points that no case reaches, each with the reason and the test that kills there.
ELSEWHERE = {
    "file.adopt.": "taking files in is no verb of the API yet: tests/drivers/test_file_crashes.py",
    "file.copy.": "copies are made of sources with very many layers: tests/drivers/test_file_crashes.py",
    "file.fold.rebased": "as file.fold.pulled",
    "file.fold.pulled": "the dearer way to fold wants much data: tests/drivers/test_file_crashes.py",
}


#: Points of the engine where a backend makes no difference: killed on one kind of backend, unless ALL.
SAME = (":change-before", ":intent-before", ":done-after", ":undo-after")


def _named(run: tuple[str, Case]) -> str:
    return f"{run[0]}-{run[1].name}".replace(" ", "-")


def _again(backend: str, index: int) -> int:
    """At which point of the recovery the service dies a second time (0: not): every other run, the first to the third point."""
    turn = index + (backend == "clones")
    return turn // 2 % 3 + 1 if ALL or turn % 2 else 0


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.parametrize(("backend", "case"), RUNS, ids=map(_named, RUNS))
def test_a_kill_at_any_point_loses_nothing_and_leaves_nothing(backend: str, case: Case, world: World) -> None:
    points = discover(world, case)
    if backend != BACKENDS[0] and case.only != backend and not ALL:
        points = [(name, nth) for name, nth in points if not name.endswith(SAME)]
    key = backend, case.name
    TALLY.visited[key], TALLY.killed[key] = [name for name, _ in points], []
    for index, (name, nth) in enumerate(points):
        how = kill(world, case, name, nth, again=_again(backend, index))
        if how:
            TALLY.killed[key].append(name)
        TALLY.twice[key] = TALLY.twice.get(key, 0) + (how == "twice")
    assert len(TALLY.killed[key]) == len(points), f"not reached: {points}, {TALLY.killed[key]}"


@pytest.mark.lab
@pytest.mark.requires("root", "loop", "fuse", "qemu-io", "qemu-storage-daemon", "nbdfuse", "mkfs.xfs")
def test_every_point_of_every_flow_is_reached_by_a_case(worlds: Worlds) -> None:
    """A new verb, task or step that no case visits fails here: add a case."""
    reached: set[str] = set()
    for backend, case in RUNS:
        reached |= {name for name, _ in discover(worlds.get(backend), case)}
    wanted = expected() | set(written())
    missing = {name for name in wanted - reached if not name.startswith(tuple(ELSEWHERE))}
    assert sorted(missing) == []
    assert sorted(reached - wanted) == []


EVERYDAY = [
    ("create", "volume.create:allocate:done-before"),
    ("clone", "file.freeze.placed"),
    ("delete with snapshots", "file.fold.committed"),
    ("extend", "volume.extend:grow:intent-after"),
    ("revert", "file.revert.placed"),
    ("snapshot of an attached volume", "file.freeze.switched"),
    ("attach", "nbdfuse.started"),
    ("detach", "nbd.unexport.stopped"),
    ("attach that fails", "host.attach:export:undo-before"),
]


@pytest.mark.lab
@pytest.mark.parametrize("backend", ["overlays"])
@pytest.mark.parametrize(("name", "point"), EVERYDAY)
def test_the_everyday_kill_of_a_verb_loses_nothing(backend: str, name: str, point: str, world: World) -> None:
    case = next(one for one in CASES if one.name == name)
    assert kill(world, case, point, 1) == "killed"


def test_every_verb_has_a_case() -> None:
    known = {case.kind for case in CASES}
    missing = set(FLOWS) - known - {name.rstrip(":") for name in ELSEWHERE}
    assert missing == set()

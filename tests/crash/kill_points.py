# SPDX-License-Identifier: Apache-2.0
"""The crash harness itself: run a case once to see which points it visits, then once for each of them with the service killed there (and,
every other time, killed again while it recovers), and look whether everything is as it must be. Points are discovered, so that a new
task or a new step of a driver is killed without anybody writing it down; `expected` says which ones there must be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from breezeblock.flow.task import Effect
from breezeblock.operations.registry import FLOWS
from tests.crash.cases import Case
from tests.crash.points import ANY
from tests.crash.service import occurrences
from tests.crash.world import SETTLE_SECONDS, World

SOURCE = Path(__file__).resolve().parents[2] / "src" / "breezeblock"


@dataclass
class Tally:
    """What was killed where. `twice`: kills during the recovery from a kill."""

    visited: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    killed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    twice: dict[tuple[str, str], int] = field(default_factory=dict)

    def table(self) -> Iterator[str]:
        yield f"{'backend':<10}{'case':<44}{'points':>7}{'killed':>8}{'twice':>7}"
        for (backend, case), points in self.visited.items():
            key = backend, case
            hit = len(self.killed.get(key, ()))
            yield f"{backend:<10}{case:<44}{len(points):>7}{hit:>8}{self.twice.get(key, 0):>7}"
        hits = [len(points) for points in self.killed.values()]
        yield f"{'all':<54}{sum(map(len, self.visited.values())):>7}{sum(hits):>8}{sum(self.twice.values()):>7}"


TALLY = Tally()


def discover(world: World, case: Case) -> list[tuple[str, int]]:
    """The points that the case visits when nobody kills it; it has to end as it should."""
    facts = case.prepare(world)
    with world.failing(case.faults):
        with world.service.visited() as visited:
            assert world.attempt(lambda: case.act(world, facts))
            world.truth.settled(SETTLE_SECONDS)
        _look(world, case, facts)
    world.clear()
    return occurrences(visited)


def kill(world: World, case: Case, point: str, nth: int, *, again: int = 0) -> str:
    """Run the case with the service killed at the nth visit of the point and, `again` > 0, once more at the `again`th point that its
    recovery visits. "": it was not reached this time; "killed" or "twice"."""
    facts = case.prepare(world)
    with world.failing(case.faults):
        world.service.arm(point, nth)
        world.attempt(lambda: case.act(world, facts))
        if world.outlived(grace=1.0) and world.service.disarm():
            _look(world, case, facts)
            world.clear()
            return ""
        twice = False
        if again:
            twice = world.recover(ANY, again)
        if world.service.pid is None:
            world.recover()
        world.truth.settled(SETTLE_SECONDS)
        _look(world, case, facts)
    world.clear()
    return "twice" if twice else "killed"


def _look(world: World, case: Case, facts: dict[str, object]) -> None:
    problems = world.truth.problems(stale=case.stale)
    assert not problems, f"{case.name}: {problems}"
    case.expect(world, facts)


def expected(kinds: Sequence[str] = ()) -> set[str]:
    """The points that flows must have, whoever writes a new one: before and after each intent, after the effect, its undo, each Change."""
    found = set()
    for kind, flow in FLOWS.items():
        if kinds and kind not in kinds:
            continue
        for task in flow.tasks:
            steps = ["change-before"]
            if isinstance(task, Effect):
                steps = ["intent-before", "intent-after", "done-before", "done-after"]
                pivot = flow.index(flow.pivot) if flow.pivot else len(flow.tasks)
                if flow.index(task.name) < pivot:
                    steps += ["undo-before", "undo-after"]
            found |= {f"{kind}:{task.name}:{step}" for step in steps}
    return found


def written() -> dict[str, str]:
    """Point -> file, of every point that mechanisms name in their source."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        if path.name == "killpoint.py":
            continue  # its docstring shows how
        for name in re.findall(r"""(?:reach|passed)\(\s*"([a-z0-9.-]+)"\s*\)""", path.read_text()):
            found[name] = path.relative_to(SOURCE).as_posix()
    return found

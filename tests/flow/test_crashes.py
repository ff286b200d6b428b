# SPDX-License-Identifier: Apache-2.0
"""A process that dies at any probe point, any number of times, is followed by a new owner that reads the journal: in memory, and in SQLite
with leases and fence tokens. Changes happen exactly once; what is outside at the end is what the final state says."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from breezeblock.flow.journal import Journal, MemoryJournal
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Change, Flow, Task, Work
from breezeblock.model.errors import Failed, NoSpace
from breezeblock.store import history, operations, setup
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.store.migrate import upgrade
from breezeblock.store.operations import BULK, NewOperation
from breezeblock.store.schema import counters, debts
from breezeblock.store.schema import operations as table
from breezeblock.store.transaction import Tx
from tests.flow.outside import Died, Outside, slow

LIMIT = 300


class World(Protocol):
    """Where the journal and what Changes write live."""

    def begin(self, flow: Flow) -> str: ...
    def owner(self) -> tuple[Work, Journal]:
        """A new process takes the operation over."""
        ...

    def change(self, outside: Outside, name: str) -> Change: ...
    def changed(self) -> set[str]: ...
    def cancel(self) -> None: ...
    def ended(self) -> str: ...
    def owes(self) -> set[str]: ...


class InMemory:
    def __init__(self) -> None:
        self.rows: set[str] = set()

    def begin(self, flow: Flow) -> str:
        self.journal, self.rows = MemoryJournal(), set()
        return "op"

    def owner(self) -> tuple[Work, Journal]:
        return Work(operation="op", kind="k", resource_id="r", project_id="p", args={}), self.journal

    def change(self, outside: Outside, name: str) -> Change:
        def apply(tx: Any, work: Work) -> Any:
            outside.called(f"apply:{name}")
            assert f"{name}.{work.round}" not in self.rows, "a Change was applied twice"
            self.rows.add(f"{name}.{work.round}")
            return {"round": work.round}

        def revert(tx: Any, work: Work, result: Any) -> None:
            outside.called(f"revert:{name}")
            self.rows.remove(f"{name}.{result['round']}")

        return Change(name, apply, revert)

    def changed(self) -> set[str]:
        return self.rows

    def cancel(self) -> None:
        self.journal.cancel_requested = True

    def ended(self) -> str:
        return self.journal.state

    def owes(self) -> set[str]:
        return {debt.intent["thing"] for debt in self.journal.debts}


class InStore:
    """Each owner is a process of its own: the lease of the one that died is over, the next one's token is higher."""

    def __init__(self, store: Store) -> None:
        self.store, self.id = store, ""

    def begin(self, flow: Flow) -> str:
        def write(tx: Tx) -> str:
            tx.execute(delete(table))
            tx.execute(delete(debts))
            tx.execute(delete(counters).where(counters.c.name.like("changed/%")))
            new = NewOperation(
                kind="k", resource_type="r", resource_id="r", project_id="p", user_id="u", request_id="", queue="q",
                tasks=flow.names(), pivot=flow.pivot,
            )  # fmt: skip
            return operations.submit(tx, new)

        self.id = self.store.write_sync(write)
        return self.id

    def owner(self) -> tuple[Work, Journal]:
        me = str(uuid.uuid4())

        def claim(tx: Tx) -> list[operations.Claimed]:
            tx.execute(update(table).values(lease_until_us=0, not_before_us=0))
            return operations.claim(tx, me, ["q"], BULK, 1, 60_000_000)

        (claimed,) = self.store.write_sync(claim)
        work = Work(
            operation=self.id,
            kind="k",
            resource_id="r",
            project_id="p",
            args=claimed.args,
            fence=claimed.fence,
        )
        return work, StoreJournal(self.store, claimed, lambda queue: True)

    def change(self, outside: Outside, name: str) -> Change:
        def apply(tx: Tx, work: Work) -> Any:
            outside.called(f"apply:{name}")
            tx.execute(insert(counters), {"name": f"changed/{name}.{work.round}", "value": work.fence})
            return {"round": work.round}

        def revert(tx: Tx, work: Work, result: Any) -> None:
            outside.called(f"revert:{name}")
            mine = counters.c.name == f"changed/{name}.{result['round']}"
            assert tx.execute(delete(counters).where(mine)).rowcount == 1

        return Change(name, apply, revert)

    def changed(self) -> set[str]:
        rows = self.store.read_sync(
            lambda tx: tx.rows(select(counters.c.name).where(counters.c.name.like("changed/%")))
        )
        return {row[0].removeprefix("changed/") for row in rows}

    def cancel(self) -> None:
        self.store.write_sync(lambda tx: operations.request_cancel(tx, self.id))

    def ended(self) -> str:
        return self.store.read_sync(lambda tx: history.get(tx, self.id, "p")).state

    def owes(self) -> set[str]:
        rows = self.store.read_sync(lambda tx: tx.rows(select(debts.c.work)))
        return {msgspec.json.decode(row.work)["intent"]["thing"] for row in rows}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: Path = tmp_path_factory.mktemp("crashes") / "store.sqlite"
    upgrade(f"sqlite:///{path}")
    store = Store(f"sqlite:///{path}")
    store.write_sync(setup.prepare)
    yield store
    store.close()


@pytest.fixture(params=["in memory", pytest.param("in SQLite", marks=pytest.mark.slow)])
def world(request: pytest.FixtureRequest) -> World:
    return InMemory() if request.param == "in memory" else InStore(request.getfixturevalue("store"))


class Shape(msgspec.Struct, frozen=True):
    """A flow as a word: c a Change, e an Effect, p the pivot, | where a new round begins."""

    word: str = "ceccepce"

    @property
    def tasks(self) -> list[tuple[str, str]]:
        return [(kind, f"{kind}{n}") for n, kind in enumerate(self.word.replace("|", ""))]


def build(shape: Shape, world: World, outside: Outside) -> Flow:
    tasks: list[Task] = []
    for kind, name in shape.tasks:
        match kind:
            case "c":
                tasks.append(world.change(outside, name))
            case "e":
                tasks.append(outside.effect(name))
            case _:
                outside.things.add("old")
                tasks.append(outside.forward(name))
    names = [name for _, name in shape.tasks]
    bar = shape.word.find("|")
    return Flow(
        kind="k",
        tasks=tuple(tasks),
        pivot=next((name for kind, name in shape.tasks if kind == "p"), None),
        back_to=names[bar] if 0 <= bar < len(names) else None,
        rounds=2,
        again=lambda error: isinstance(error, NoSpace),
        ended=lambda tx, work: outside.calls.append("ended"),
        undone=lambda tx, work, error: outside.calls.append("undone"),
        stuck=lambda tx, work, error: outside.calls.append("stuck"),
    )


def live(flow: Flow, world: World, outside: Outside, *, cancel_at: int | None = None) -> Outcome:
    """Owner after owner until the operation ends."""
    world.begin(flow)
    for turn in range(LIMIT):
        ended = world.ended()
        if ended in ("succeeded", "failed", "cancelled"):  # the owner died after the end was on record
            return Outcome(ended)
        if turn == cancel_at:
            world.cancel()
        work, journal = world.owner()
        driven = LinearFlow(flow, work, journal, probe=outside.reach)
        try:
            outcome = driven.run()
        except Died:
            continue
        if outcome is not Outcome.RELEASED:
            return outcome
    raise AssertionError("it does not end")


def check(shape: Shape, flow: Flow, world: World, outside: Outside, outcome: Outcome) -> None:
    """What is there at the end is what the final state says."""
    assert world.ended() == outcome.value
    (ending,) = {"ended", "undone", "stuck"} & set(outside.calls)
    owed = world.owes()
    made = {thing for thing in outside.things if thing != "old"}
    applied = {name.partition(".")[0] for name in world.changed()}
    effects = {name for kind, name in shape.tasks if kind == "e"}
    changes = {name for kind, name in shape.tasks if kind == "c"}
    if ending == "ended":
        assert outcome is Outcome.SUCCEEDED
        assert applied == changes
        assert len(world.changed()) == len(changes)
        assert {thing.partition(".")[0] for thing in made - owed} == effects
        assert len(made - owed) == len(effects), "nothing of an earlier round is left but what is owed"
        assert flow.pivot is None or "old" not in outside.things
    elif ending == "undone":
        assert outcome in (Outcome.FAILED, Outcome.CANCELLED)
        assert made <= owed, "nothing is left outside but what is owed"
        assert world.changed() == set()
        assert flow.pivot is None or "old" in outside.things, "the pivot was never done"
    else:
        assert outcome is Outcome.FAILED
        assert flow.pivot is not None
        before = [name for _, name in shape.tasks][: flow.index(flow.pivot)]
        assert {name for name in before if name in changes} <= applied, "past the pivot nothing is taken back"
        assert {name for name in before if name in effects} <= {thing.partition(".")[0] for thing in made}


# -- one death, at every point there is -----------------------------------------------------------------------------------------

FAILURES: dict[str, Callable[[], dict[str, list[Any]]]] = {
    "nothing fails": dict,
    "an effect fails": lambda: {"do:e4": [Failed("no")]},
    "an effect fails and its undo waits": lambda: {"do:e4": [Failed("no")], "undo:e1": [slow(), slow()]},
    "an undo is owed": lambda: {"do:e4": [Failed("no")], "undo:e1": [Failed("gone") for _ in range(99)]},
    "a change fails": lambda: {"apply:c3": [Failed("no")]},
    "a round fails": lambda: {"do:e4": [NoSpace("full")]},
    "two rounds fail": lambda: {"do:e4": [NoSpace("full"), NoSpace("full")]},
    "the pivot fails": lambda: {"do:p5": [Failed("no")]},
    "the pivot waits": lambda: {"do:p5": [slow() for _ in range(9)]},
    "the last effect fails": lambda: {"do:e7": [Failed("no")]},
    "the last change fails": lambda: {"apply:c6": [Failed("no")]},
}
WHOLE = Shape("ce|ccepce")


def _points(shape: Shape, failing: Callable[[], dict[str, list[Any]]]) -> int:
    """How many probe points a life without deaths passes."""
    outside, world, passed = Outside(), InMemory(), 0
    outside.failing = failing()

    def count(point: str) -> bool:
        nonlocal passed
        passed += 1
        return False

    outside.plan = count
    live(build(shape, world, outside), world, outside)
    return passed


@pytest.mark.parametrize("story", FAILURES)
def test_one_death_at_any_point_changes_nothing_of_the_end(world: World, story: str) -> None:
    calm, still = Outside(), InMemory()
    calm.failing = FAILURES[story]()
    expected = live(build(WHOLE, still, calm), still, calm)
    points = _points(WHOLE, FAILURES[story])
    assert points >= 10
    for fatal in range(points):
        outside, passed = Outside(), 0
        outside.failing = FAILURES[story]()

        def plan(point: str, fatal: int = fatal) -> bool:
            nonlocal passed
            passed += 1
            return passed - 1 == fatal

        outside.plan = plan
        flow = build(WHOLE, world, outside)
        outcome = live(flow, world, outside)
        assert outside.died == 1, f"no death at point {fatal} of {points}"
        assert outcome is expected
        check(WHOLE, flow, world, outside, outcome)


# -- any shape, any failures, any deaths ------------------------------------------------------------------------------------------

words = st.builds(
    lambda head, bar, tail, pivot, end: f"{head}{bar}{tail}{pivot}{end}",
    st.text("ce", max_size=2),
    st.sampled_from(["", "|"]),
    st.text("ce", min_size=1, max_size=3),
    st.sampled_from(["", "p"]),
    st.text("ce", max_size=2),
)
errors = st.sampled_from([slow, lambda: Failed("no"), lambda: NoSpace("full"), lambda: ValueError("odd")])


@st.composite
def lives(draw: st.DrawFn) -> tuple[Shape, dict[str, list[Any]], set[int], int | None]:
    shape = Shape(draw(words))
    calls = [
        f"{call}:{name}"
        for kind, name in shape.tasks
        for call in (("apply",) if kind == "c" else ("do", "observe", "undo"))
    ]
    failing: dict[str, list[Any]] = {}
    for call, kinds in draw(
        st.dictionaries(st.sampled_from(calls), st.lists(errors, min_size=1, max_size=3), max_size=3)
    ).items():
        made = [kind() for kind in kinds]
        if call.startswith("apply:"):  # a ValueError of a Change is a defect: it is raised, not driven
            made = [error for error in made if not isinstance(error, ValueError)]
        failing[call] = made
    deaths = draw(st.sets(st.integers(0, 30), max_size=4))
    cancel_at = draw(st.one_of(st.none(), st.integers(0, 3)))
    return shape, failing, deaths, cancel_at


def _check_life(world: World, life: tuple[Shape, dict[str, list[Any]], set[int], int | None]) -> None:
    shape, failing, deaths, cancel_at = life
    outside, passed = Outside(), 0
    outside.failing = {call: list(errors) for call, errors in failing.items()}

    def plan(point: str) -> bool:
        nonlocal passed
        passed += 1
        return passed - 1 in deaths

    outside.plan = plan
    flow = build(shape, world, outside)
    outcome = live(flow, world, outside, cancel_at=cancel_at)
    check(shape, flow, world, outside, outcome)


@given(life=lives())
def test_any_life_ends_as_its_state_says(life: Any) -> None:
    _check_life(InMemory(), life)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives())
def test_any_life_in_the_database_ends_as_its_state_says(store: Store, life: Any) -> None:
    _check_life(InStore(store), life)

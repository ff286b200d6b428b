# SPDX-License-Identifier: Apache-2.0
"""Keys against a model: shared or exclusive, first come first served, all of an operation's keys or none. And with many declarers at
once on servers: nobody holds what excludes another, nobody waits for ever."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from breezeblock.store import history, keys, operations
from breezeblock.store.database import Store
from breezeblock.store.schema import operation_keys
from breezeblock.store.schema import operations as table
from breezeblock.store.transaction import Tx
from tests.store.rows import Bells, operation

ON_ONE_DATABASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Model:
    """What the module's docstring promises, in the plainest code."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, dict[str, bool]]] = []
        self.granted: dict[str, dict[str, bool]] = {}

    def declare(self, id: str, wanted: dict[str, bool]) -> None:
        self.waiting.append((id, wanted))
        self._grant()

    def release(self, id: str) -> None:
        self.granted.pop(id, None)
        self.waiting = [(other, wanted) for other, wanted in self.waiting if other != id]
        self._grant()

    def _grant(self) -> None:
        before = list(self.granted.values())
        still = []
        for id, wanted in self.waiting:
            if any(_conflict(wanted, other) for other in before):
                still.append((id, wanted))
            else:
                self.granted[id] = wanted
            before.append(wanted)
        self.waiting = still


def _conflict(a: dict[str, bool], b: dict[str, bool]) -> bool:
    return any(key in b and (exclusive or b[key]) for key, exclusive in a.items())


wanted_keys = st.dictionaries(
    st.sampled_from(["volume/a", "volume/b", "pin/a", "Volume/A "]), st.booleans(), min_size=1, max_size=3
)
steps = st.lists(st.one_of(wanted_keys, st.integers(0, 7)), max_size=25)


def _end(tx: Tx, id: str) -> None:
    history.finish(tx, id, "succeeded", None)
    keys.release(tx, id)


@ON_ONE_DATABASE
@given(steps)
def test_grants_are_those_of_the_model(sqlite_store: Store, script: list[dict[str, bool] | int]) -> None:
    _check_against_model(sqlite_store, script)


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
@settings(ON_ONE_DATABASE, max_examples=25)
@given(script=steps)
def test_grants_are_those_of_the_model_on_servers(
    server: str, request: pytest.FixtureRequest, script: list[dict[str, bool] | int]
) -> None:
    store = Store(request.getfixturevalue(f"migrated_{server}"))
    try:
        _check_against_model(store, script)
    finally:
        store.close()


def _check_against_model(store: Store, script: list[dict[str, bool] | int]) -> None:
    store.write_sync(_forget_all)
    model, ids = Model(), list[str]()
    for step in script:
        if isinstance(step, dict):
            id = store.write_sync(lambda tx, step=step: operation(tx, keys=step))  # type: ignore[misc]
            ids.append(id)
            model.declare(id, step)
        elif step < len(ids):
            id = ids.pop(step)
            store.write_sync(lambda tx, id=id: _end(tx, id))  # type: ignore[misc]
            model.release(id)
        assert _granted(store) == set(model.granted)
        assert _claimable(store) == set(model.granted)


def _forget_all(tx: Tx) -> None:
    tx.execute(operation_keys.delete())
    tx.execute(table.delete())


def _granted(store: Store) -> set[str]:
    rows = store.read_sync(lambda tx: tx.rows(select(operation_keys)))
    found: dict[str, set[bool]] = {}
    for row in rows:
        found.setdefault(row.operation_id, set()).add(bool(row.granted))
    assert all(len(states) == 1 for states in found.values()), "all of an operation's keys or none"
    return {id for id, states in found.items() if states == {True}}


def _claimable(store: Store) -> set[str]:
    return store.read_sync(
        lambda tx: {r.id for r in tx.rows(select(table).where(table.c.blocked.is_(False)))}
    )


def test_a_release_wakes_the_oldest_and_rings_its_queue(store: Store, bells: Bells) -> None:
    ids = store.write_sync(
        lambda tx: [operation(tx, keys={"volume/v": True}, queue=f"q{n}") for n in range(3)]
    )
    assert bells.names() == {"q0"}
    bells.rung.clear()
    store.write_sync(lambda tx: _end(tx, ids[0]))
    assert _granted(store) == {ids[1]}
    assert bells.names() == {"q1"}


def test_shared_readers_go_together_but_not_past_an_older_writer(store: Store) -> None:
    def three(tx: Tx) -> list[str]:
        return [operation(tx, keys={"volume/v": exclusive}) for exclusive in (False, True, False)]

    reader, writer, late = store.write_sync(three)
    assert _granted(store) == {reader}
    assert store.read_sync(lambda tx: keys.blockers(tx, late)) == [("volume/v", writer)]
    store.write_sync(lambda tx: _end(tx, writer))  # it was cancelled before it began
    assert _granted(store) == {reader, late}


def test_a_pin_is_seen_until_its_operation_ends(store: Store) -> None:
    pin = store.write_sync(lambda tx: operation(tx, keys={"pin/volume/v": False}))
    assert store.read_sync(lambda tx: keys.pinned_by(tx, "volume/v")) == pin
    assert store.read_sync(lambda tx: keys.pinned_by(tx, "volume/other")) is None
    store.write_sync(lambda tx: _end(tx, pin))
    assert store.read_sync(lambda tx: keys.pinned_by(tx, "volume/v")) is None


def test_an_operation_without_keys_is_never_blocked(store: Store) -> None:
    id = store.write_sync(lambda tx: operation(tx))
    assert _claimable(store) == {id}
    assert store.write_sync(lambda tx: keys.declare(tx, id, 1, {}))


def test_what_a_blocked_operation_waits_for_is_told(store: Store) -> None:
    holder = store.write_sync(lambda tx: operation(tx, keys={"volume/v": True}))
    waiter = store.write_sync(lambda tx: operation(tx, keys={"volume/v": True}))
    found = store.read_sync(lambda tx: history.get(tx, waiter, "p"))
    assert (found.state, found.waits_for) == ("blocked", f"volume/v (operation {holder})")


def test_a_cancelled_waiter_can_be_claimed_to_end(store: Store) -> None:
    holder = store.write_sync(lambda tx: operation(tx, keys={"volume/v": True}))
    waiter = store.write_sync(lambda tx: operation(tx, keys={"volume/v": True}))
    store.write_sync(lambda tx: operations.request_cancel(tx, waiter))
    assert _claimable(store) == {holder, waiter}


@pytest.mark.slow
def test_many_declarers_at_once_exclude_each_other_and_all_come_to_an_end(store: Store) -> None:
    """Two or three keys each out of four, so that releases free one key of a waiter at a time: a wake-up that is lost leaves an
    operation blocked for ever, a gate too few lets two in."""
    threads, turns, names = 6, 8, ["a", "b", "c", "d"]
    holding: Counter[str] = Counter()
    lock, failures = threading.Lock(), list[str]()
    deadline = time.monotonic() + 90

    def granted(id: str) -> bool:
        def read(tx: Tx) -> bool:
            row = tx.row(select(table.c.blocked).where(table.c.id == id))
            return row is not None and not row.blocked

        return store.read_sync(read)

    def turn(dice: random.Random) -> None:
        wanted = {key: dice.random() < 0.6 for key in dice.sample(names, dice.choice([2, 3]))}
        id = store.write_sync(lambda tx: operation(tx, keys=wanted))
        while not granted(id):
            if time.monotonic() > deadline:
                failures.append(f"{id} waits for ever: {store.read_sync(lambda tx: keys.blockers(tx, id))}")
                return
            time.sleep(0.003)
        with lock:
            for key, exclusive in wanted.items():
                if holding[f"{key}!"] or (exclusive and holding[key]):
                    failures.append(f"{key} is held twice")
                holding[f"{key}!" if exclusive else key] += 1
        time.sleep(dice.random() * 0.004)
        with lock:
            for key, exclusive in wanted.items():
                holding[f"{key}!" if exclusive else key] -= 1
        store.write_sync(lambda tx: _end(tx, id))

    def work(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(turns):
                turn(dice)
        except Exception as error:
            failures.append(repr(error))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert failures == []
    assert store.read_sync(lambda tx: tx.rows(select(operation_keys))) == []

# SPDX-License-Identifier: Apache-2.0
"""Every verb, failing at each of its tasks in every way that an outside fails: before or after it did the thing, for good or in passing,
with an undo that fails too. Whatever happened, no status is left that nobody holds, the usage is what the rows cost, no room stays
promised, nothing is outside that no row or debt knows; and by ordinary verbs a person gets rid of all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from breezeblock.drivers.driver import Kind
from breezeblock.flow.linear import Outcome
from breezeblock.flow.task import Change, Effect, Flow, Task, Work
from breezeblock.model.errors import Busy, Error, Failed, NoSpace, Unreachable
from breezeblock.model.identity import Caller
from breezeblock.model.status import SNAPSHOT, VOLUME, Holder
from breezeblock.model.units import GiB
from breezeblock.operations.attachment.complete import complete
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.create import create as reserve
from breezeblock.operations.attachment.delete import delete as delete_attachment
from breezeblock.operations.backend import debt
from breezeblock.operations.host.attach import attach
from breezeblock.operations.host.detach import detach
from breezeblock.operations.registry import FLOWS
from breezeblock.operations.snapshot import create as snapshot_create
from breezeblock.operations.snapshot import delete as snapshot_delete
from breezeblock.operations.volume import create as volume_create
from breezeblock.operations.volume import delete as volume_delete
from breezeblock.operations.volume.extend import extend
from breezeblock.operations.volume.revert import revert
from breezeblock.store import debts, pools, quotas
from breezeblock.store.database import Store
from breezeblock.store.schema import attachments as attachment_table
from breezeblock.store.schema import operation_keys
from breezeblock.store.schema import operations as operation_table
from breezeblock.store.schema import snapshots as snapshot_table
from breezeblock.store.schema import volumes as volume_table
from breezeblock.store.transaction import Tx
from tests.api import rows
from tests.operations.outside import HOST, QUEUES, Outside

PATIENCE = 30

Inject = Callable[[Flow], Flow]


class Life:
    """One database, one outside, one administrator: what a story is told with."""

    def __init__(self, store: Store, caller: Caller) -> None:
        self.store, self.caller, self.outside = store, caller, Outside(store)

    def do(self, fn: Callable[[Tx], Any]) -> Any:
        return self.store.write_sync(fn)

    def drive(self, inject: Inject = lambda flow: flow) -> list[Outcome]:
        """Until nothing is left to do; what waits for a time is made to wait no longer."""
        outcomes: list[Outcome] = []
        for _ in range(200):
            self.do(lambda tx: tx.execute(update(operation_table).values(not_before_us=0)))
            outcome = self.outside.turn(flow=inject)
            if outcome is None:
                return outcomes
            outcomes.append(outcome)
        raise AssertionError(f"this never ends: {outcomes[-5:]}")

    # -- what stories begin with -----------------------------------------------------------------------------------

    def volume(self, **values: Any) -> str:
        made, _ = self.do(
            lambda tx: volume_create.create(tx, self.caller, volume_create.CreateVolume(size=1, **values))
        )
        return str(made.id)

    def placed(self) -> str:
        id = self.volume()
        assert self.drive() == [Outcome.SUCCEEDED]
        return id

    def snapshot(self, volume: str) -> str:
        wanted = snapshot_create.CreateSnapshot(volume_id=volume, in_use_allowed=True)
        made, _ = self.do(lambda tx: snapshot_create.create(tx, self.caller, wanted))
        return str(made.id)

    def taken(self, volume: str) -> str:
        id = self.snapshot(volume)
        assert self.drive() == [Outcome.SUCCEEDED]
        return id

    def reserved(self, volume: str) -> str:
        return str(self.do(lambda tx: reserve(tx, self.caller, volume)).id)

    def connected(self, volume: str) -> str:
        id = self.reserved(volume)
        self.do(lambda tx: connect(tx, self.caller, id, {"host": "consumer"}))
        assert self.drive() == [Outcome.SUCCEEDED]
        self.do(lambda tx: complete(tx, self.caller, id))
        return id

    def attached(self, volume: str) -> str:
        self.do(lambda tx: attach(tx, self.caller, volume, host=HOST, here=HOST))
        assert self.drive() == [Outcome.SUCCEEDED]
        return volume


def _extend(life: Life, volume: str) -> None:
    life.do(lambda tx: extend(tx, life.caller, volume, 3, attached_allowed=True))


def _extend_attached(life: Life) -> None:
    able = '{"online_extend":true,"targets":{"memory":{"live_resize":true}}}'
    life.do(lambda tx: pools.write_backend(tx, rows.BACKEND, capabilities=able))
    volume = life.placed()
    life.connected(volume)
    _extend(life, volume)


def _delete(life: Life, volume: str, **values: Any) -> None:
    life.do(lambda tx: volume_delete.delete(tx, life.caller, volume, **values))


def _delete_cascade(life: Life) -> None:
    volume = life.placed()
    life.taken(volume)
    life.taken(volume)
    _delete(life, volume, cascade=True)


def _delete_snapshot(life: Life) -> None:
    snapshot = life.taken(life.placed())
    life.do(lambda tx: snapshot_delete.delete(tx, life.caller, snapshot))


def _revert(life: Life) -> None:
    volume = life.placed()
    snapshot = life.taken(volume)
    life.do(lambda tx: revert(tx, life.caller, volume, snapshot))


def _connect(life: Life) -> None:
    attachment = life.reserved(life.placed())
    life.do(lambda tx: connect(tx, life.caller, attachment, {"host": "consumer"}))


def _disconnect(life: Life) -> None:
    attachment = life.connected(life.placed())
    life.do(lambda tx: delete_attachment(tx, life.caller, attachment))


def _attach(life: Life) -> None:
    volume = life.placed()
    life.do(lambda tx: attach(tx, life.caller, volume, host=HOST, here=HOST))


def _detach(life: Life) -> None:
    volume = life.attached(life.placed())
    life.do(lambda tx: detach(tx, life.caller, volume_id=volume))


STORIES: dict[str, tuple[str, Callable[[Life], Any]]] = {
    "create": ("volume.create", lambda life: life.volume()),
    "create from a snapshot": (
        "volume.create",
        lambda life: life.volume(snapshot_id=life.taken(life.placed())),
    ),
    "clone": ("volume.create", lambda life: life.volume(source_volid=life.placed())),
    "delete": ("volume.delete", lambda life: _delete(life, life.placed())),
    "delete with snapshots": ("volume.delete", _delete_cascade),
    "extend": ("volume.extend", lambda life: _extend(life, life.placed())),
    "extend in use": ("volume.extend", _extend_attached),
    "snapshot": ("snapshot.create", lambda life: life.snapshot(life.placed())),
    "delete a snapshot": ("snapshot.delete", _delete_snapshot),
    "revert": ("volume.revert", _revert),
    "connect": ("attachment.connect", _connect),
    "disconnect": ("attachment.delete", _disconnect),
    "attach": ("host.attach", _attach),
    "detach": ("host.detach", _detach),
}

ERRORS: dict[str, Callable[[], Error]] = {
    "for good": lambda: Failed("it is broken"),
    "being full": lambda: NoSpace("it is full"),
    "being busy": lambda: Busy("it is held open"),
    "not answering": lambda: Unreachable("it does not answer"),
}


def _failing(kind: str, name: str, error: Callable[[], Error], *, does: bool, undo_fails: bool) -> Inject:
    """The flow of that kind with one task that fails (so many times), after it did its work or before."""
    left = [PATIENCE]

    def broken(task: Task) -> Task:
        if task.name != name:
            return task
        if isinstance(task, Change):

            def apply(tx: Any, work: Work) -> Any:
                if does:
                    task.apply(tx, work)
                raise Failed("it is broken")

            return replace(task, apply=apply)

        def do(work: Work, intent: Any) -> Any:
            if left[0] <= 0:
                return task.do(work, intent)
            left[0] -= 1
            if does:
                task.do(work, intent)
            raise error()

        def undo(work: Work, intent: Any, result: Any) -> None:
            raise Failed("the undo is broken too")

        return replace(task, do=do, undo=undo if undo_fails else task.undo)

    def inject(flow: Flow) -> Flow:
        return replace(flow, tasks=tuple(broken(task) for task in flow.tasks)) if flow.kind == kind else flow

    return inject


def _told(story: str, task: str, how: str, does: bool, undo_fails: bool) -> str:
    after = (", having done it" if does else "") + (", and its undo" if undo_fails else "")
    return f"{story}: {task} fails {how}{after}"


def _marks(how: str, does: bool) -> list[pytest.MarkDecorator]:
    """The inner loop takes the worst of each task: it fails for good when its work is done."""
    return [] if does and how == "for good" else [pytest.mark.slow]


CASES = [
    pytest.param(
        story, task.name, how, does, undo_fails,
        id=_told(story, task.name, how, does, undo_fails), marks=_marks(how, does),
    )
    for story, (kind, _) in STORIES.items()
    for task in FLOWS[kind].tasks
    for how in (ERRORS if isinstance(task, Effect) else ["for good"])
    for does in (False, True)
    if not (does and how == "being busy")  # who says Busy has changed nothing
    for undo_fails in ((False, True) if isinstance(task, Effect) and how == "for good" else (False,))
]  # fmt: skip


@pytest.fixture
def life(store: Store, admin: Caller) -> Life:
    return Life(store, admin)


@pytest.mark.parametrize(("story", "task", "how", "does", "undo_fails"), CASES)
def test_whatever_fails_nothing_is_left_that_nobody_knows(
    life: Life, story: str, task: str, how: str, does: bool, undo_fails: bool
) -> None:
    kind, begin = STORIES[story]
    begin(life)
    life.drive(_failing(kind, task, ERRORS[how], does=does, undo_fails=undo_fails))
    _expect_rest(life)
    _expect_known(life)
    _get_rid_of_everything(life)
    _expect_nothing(life)


@pytest.mark.parametrize("story", STORIES)
def test_a_verb_that_succeeds_leaves_exactly_what_its_rows_say(life: Life, story: str) -> None:
    _, begin = STORIES[story]
    begin(life)
    assert set(life.drive()) == {Outcome.SUCCEEDED}
    _expect_rest(life)
    known = _expect_known(life)
    assert set(life.outside.home.driver.objects) == known
    assert life.store.read_sync(lambda tx: debts.due(tx, QUEUES)) == []
    _get_rid_of_everything(life)
    _expect_nothing(life)


@pytest.mark.parametrize("story", STORIES)
def test_a_verb_that_is_cancelled_at_once_leaves_what_was_before(life: Life, story: str) -> None:
    from breezeblock.store import operations

    _, begin = STORIES[story]
    begin(life)
    (waiting,) = life.store.read_sync(lambda tx: tx.rows(select(operation_table.c.id)))
    before = set(life.outside.home.driver.objects), dict(life.outside.home.target.exports)
    life.do(lambda tx: operations.request_cancel(tx, waiting.id))
    assert life.drive() == [Outcome.CANCELLED]
    assert (set(life.outside.home.driver.objects), dict(life.outside.home.target.exports)) == before
    _expect_rest(life)
    _get_rid_of_everything(life)
    _expect_nothing(life)


def test_a_cascade_that_finds_the_volume_busy_keeps_no_row_of_a_snapshot_that_is_gone(life: Life) -> None:
    _delete_cascade(life)
    driver = life.outside.home.driver
    plain = driver.delete

    def held(obj: Any, ctx: Any) -> None:
        if obj.kind is Kind.VOLUME:
            raise Busy("a process of somebody's has it open")
        plain(obj, ctx)

    driver.delete = held  # type: ignore[method-assign]
    assert life.drive() == [Outcome.FAILED]
    driver.delete = plain  # type: ignore[method-assign]
    assert _rows(life, snapshot_table) == []
    assert [row.status for row in _rows(life, volume_table)] == ["available"]
    _expect_rest(life)
    assert set(driver.objects) == _expect_known(life)


# -- what must hold -------------------------------------------------------------------------------------------------------------


def _rows(life: Life, table: Any) -> list[Any]:
    return list(life.store.read_sync(lambda tx: tx.rows(select(table))))


def _expect_rest(life: Life) -> None:
    """Nothing runs, nothing is held, nothing is promised, and the usage is what the rows cost."""
    assert _rows(life, operation_table) == []
    assert _rows(life, operation_keys) == []
    for table, states in ((volume_table, VOLUME), (snapshot_table, SNAPSHOT)):
        for row in _rows(life, table):
            assert states[row.status].holder is not Holder.OPERATION, (row.id, row.status)
            assert row.operation_id is None
    assert {row.operation_id for row in _rows(life, attachment_table)} <= {None}
    assert life.store.read_sync(quotas.recount) == []
    used = life.store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT))
    owed: dict[str, int] = {}
    for row, charge in [
        *[(row, volume_create.charges) for row in _rows(life, volume_table)],
        *[(row, snapshot_create.charges) for row in _rows(life, snapshot_table)],
    ]:
        for key, amount in charge("__DEFAULT__", row.size).items():
            owed[key] = owed.get(key, 0) + amount
    assert {key: amount for key, amount in used.items() if amount} == owed

    def reported(tx: Tx) -> int:
        before = pools.page(tx)[0].report
        pools.report(tx, rows.BACKEND, [("pool", before, tx.now_us() + 1)])
        return pools.page(tx)[0].reserved_bytes

    assert life.do(reported) == 0


def _expect_known(life: Life) -> set[str]:
    """What is outside is known by a row or a debt; what a resting row says to be there is there. The names of the rows."""
    driver, target = life.outside.home.driver, life.outside.home.target
    volumes = {row.id: row for row in _rows(life, volume_table)}
    snapshots = {row.id: row for row in _rows(life, snapshot_table)}
    known = {driver.name(id, Kind.VOLUME): row for id, row in volumes.items()}
    known |= {driver.name(id, Kind.SNAPSHOT): row for id, row in snapshots.items()}
    owed = {debt.resource_id for debt in life.store.read_sync(lambda tx: debts.due(tx, QUEUES))}
    assert {obj.id for obj in driver.objects.values()} <= {*volumes, *snapshots, *owed}
    resting = {name for name, row in known.items() if row.status in ("available", "in-use")}
    assert resting <= set(driver.objects)
    for name in resting & {driver.name(id, Kind.VOLUME) for id in volumes}:
        assert driver.objects[name].size == known[name].size * GiB
    held = {row.volume_id for row in _rows(life, attachment_table)}
    assert {export.volume_id for export, _ in target.exports.values()} <= held | owed | _volumes_owed(life)
    assert life.outside.connected.devices <= {target.name(id) for id in held | _volumes_owed(life)}
    return set(known)


def _volumes_owed(life: Life) -> set[str]:
    return {str(d.args.get("volume_id")) for d in life.store.read_sync(lambda tx: debts.due(tx, QUEUES))}


def _get_rid_of_everything(life: Life) -> None:
    """As a person would, once everything outside works again: detach, delete; and debts are paid."""
    for row in _rows(life, attachment_table):
        if row.agent_host:
            life.do(lambda tx, id=row.id: detach(tx, life.caller, attachment_id=id, force=True))  # type: ignore[misc]
        else:
            life.do(lambda tx, id=row.id: delete_attachment(tx, life.caller, id, force=True))  # type: ignore[misc]
        life.drive()
    assert _rows(life, attachment_table) == []
    life.do(lambda tx: [debt.pay(tx, owed) for owed in debts.due(tx, QUEUES)])
    life.drive()
    for row in _rows(life, volume_table):
        _delete(life, row.id, cascade=True, force=True)
        life.drive()


def _expect_nothing(life: Life) -> None:
    for table in (volume_table, snapshot_table, attachment_table, operation_table, operation_keys):
        assert _rows(life, table) == []
    assert life.store.read_sync(lambda tx: debts.due(tx, QUEUES)) == []
    assert life.outside.home.driver.objects == {}
    assert life.outside.home.target.exports == {}
    assert life.outside.connected.devices == set()
    used = life.store.read_sync(lambda tx: quotas.used(tx, rows.PROJECT))
    assert {key: amount for key, amount in used.items() if amount} == {}

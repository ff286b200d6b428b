# SPDX-License-Identifier: Apache-2.0
"""Compare-and-swap by the state tables: for every status and every verb of model.status, begin does what the table says, and no more."""

from __future__ import annotations

import uuid

import pytest

from breezeblock.model import status as states
from breezeblock.model.errors import NotFound, WrongStatus
from breezeblock.model.status import Move
from breezeblock.model.volume import Volume
from breezeblock.store import attachments, snapshots, volumes
from breezeblock.store.database import Store
from breezeblock.store.schema import volumes as table
from breezeblock.store.transaction import Tx
from tests.store.rows import snapshot, volume

VOLUME_VERBS = sorted(set(states.VOLUME_MOVES) - {"create"})
SNAPSHOT_VERBS = sorted(set(states.SNAPSHOT_MOVES) - {"create"})


def _may(move: Move, status: str, force: bool, multiattach: bool) -> bool:
    return (
        status in move.frm
        or (force and status in move.forced)
        or (multiattach and status in move.multiattach)
    )


def _becomes(move: Move, status: str) -> str:
    if move.to == states.BY_ATTACHMENTS:
        return "available"  # nothing is attached here
    return move.to or status


@pytest.mark.parametrize("verb", VOLUME_VERBS)
def test_a_verb_moves_a_volume_from_exactly_the_statuses_of_its_table(store: Store, verb: str) -> None:
    move = states.VOLUME_MOVES[verb]
    cases = [(s, f, m) for s in states.VOLUME for f in (False, True) for m in (False, True)]
    operation = str(uuid.uuid4())

    def write(tx: Tx) -> list[tuple[tuple[str, bool, bool], bool, Volume]]:
        out = []
        for status, force, multiattach in cases:
            id = volume(tx, status=status, multiattach=multiattach)
            moved = volumes.begin(tx, id, verb, force=force, operation_id=operation)
            out.append(((status, force, multiattach), moved, volumes.get(tx, id)))
        return out

    for (status, force, multiattach), moved, now in store.write_sync(write):
        wanted = _may(move, status, force, multiattach)
        assert (moved, now.status) == (wanted, _becomes(move, status) if wanted else status)
        if wanted:
            assert (now.previous_status, now.operation_id, now.version) == (status, operation, 2)
        else:
            assert (now.previous_status, now.operation_id, now.version) == (None, None, 1)


@pytest.mark.parametrize("verb", SNAPSHOT_VERBS)
def test_a_verb_moves_a_snapshot_from_exactly_the_statuses_of_its_table(store: Store, verb: str) -> None:
    move = states.SNAPSHOT_MOVES[verb]

    def write(tx: Tx) -> list[tuple[str, bool, bool, str]]:
        home = volume(tx)
        out = []
        for status in states.SNAPSHOT:
            for force in (False, True):
                id = snapshot(tx, home, status=status)
                out.append(
                    (status, force, snapshots.begin(tx, id, verb, force=force), snapshots.get(tx, id).status)
                )
        return out

    for status, force, moved, now in store.write_sync(write):
        wanted = _may(move, status, force, False)
        assert (moved, now) == (wanted, _becomes(move, status) if wanted else status)


def test_further_conditions_project_and_columns_go_into_the_one_statement(store: Store) -> None:
    def write(tx: Tx) -> list[bool]:
        id = volume(tx, project_id="p")
        return [
            volumes.begin(tx, id, "delete", project_id="q"),
            volumes.begin(tx, id, "delete", where=[table.c.size > 5]),
            volumes.begin(tx, "no such volume", "delete"),
            volumes.begin(tx, id, "delete", project_id="p", where=[volumes.mig_free()], values={"name": "x"}),
        ]

    assert store.write_sync(write) == [False, False, False, True]


def test_only_one_of_two_verbs_at_once_gets_the_volume(store: Store) -> None:
    import threading

    id = store.write_sync(lambda tx: volume(tx))
    start, moved = threading.Barrier(2), list[str]()

    def work(verb: str) -> None:
        start.wait(20)
        if store.write_sync(lambda tx: volumes.begin(tx, id, verb)):
            moved.append(verb)

    threads = [threading.Thread(target=work, args=(verb,)) for verb in ("delete", "extend")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(moved) == 1


@pytest.mark.parametrize("before", ["available", "in-use"])
def test_going_back_means_the_status_before(store: Store, before: str) -> None:
    def write(tx: Tx) -> Volume:
        id = volume(tx, status=before)
        volumes.begin(tx, id, "extend" if before == "available" else "extend_attached", operation_id="op")
        volumes.settle(tx, id, states.BACK)
        return volumes.get(tx, id)

    found = store.write_sync(write)
    assert (found.status, found.operation_id) == (before, None)


def _attached(tx: Tx, volume_id: str, *statuses: str) -> None:
    for status in statuses:
        attachments.create(
            tx, {"id": str(uuid.uuid4()), "volume_id": volume_id, "project_id": "p", "attach_status": status}
        )


@pytest.mark.parametrize(
    ("remaining", "status"),
    [
        ((), "available"),
        (("attached",), "in-use"),
        (("attached", "reserved"), "in-use"),
        (("attaching", "reserved"), "attaching"),
        (("reserved",), "reserved"),
        (("detached",), "available"),
        (("error_attaching",), "available"),
        (("error_detaching", "attached"), "in-use"),
    ],
)
def test_what_remains_attached_decides_the_status(
    store: Store, remaining: tuple[str, ...], status: str
) -> None:
    def write(tx: Tx) -> tuple[str, str]:
        id = volume(tx, status="detaching")
        _attached(tx, id, *remaining)
        volumes.settle(tx, id, states.BY_ATTACHMENTS)
        return volumes.get(tx, id).status, volumes.attach_status_of(tx, id)

    found, attach_status = store.write_sync(write)
    assert found == status
    assert (attach_status == "attached") == ("attached" in remaining)


def test_unreserving_goes_where_the_attachments_say(store: Store) -> None:
    def write(tx: Tx) -> str:
        id = volume(tx, status="attaching", multiattach=True)
        _attached(tx, id, "attached")
        assert volumes.begin(tx, id, "unreserve")
        return volumes.get(tx, id).status

    assert store.write_sync(write) == "in-use"


@pytest.mark.parametrize("migration", [None, "migrating", "error", "success", "deleting", "completing"])
def test_a_migrating_volume_is_told_from_one_that_is_not(store: Store, migration: str | None) -> None:
    def write(tx: Tx) -> bool:
        id = volume(tx, migration_status=migration)
        return volumes.begin(tx, id, "delete", where=[volumes.mig_free()])

    assert store.write_sync(write) == (migration in (None, "error", "success", "deleting"))


def test_snapshots_attachments_and_exports_are_conditions(store: Store) -> None:
    def write(tx: Tx) -> dict[str, tuple[bool, ...]]:
        bare, snapped, held, exported = (volume(tx, name=n) for n in ("bare", "snapped", "held", "exported"))
        snapshot(tx, snapped)
        _attached(tx, held, "reserved")
        attachments.create(
            tx, {"id": str(uuid.uuid4()), "volume_id": exported, "project_id": "p", "export": "{}"}
        )
        conditions = (volumes.no_snapshots(), volumes.no_attachments(), volumes.not_exported())
        return {
            volumes.get(tx, id).name or "": tuple(
                volumes.allows(tx, id, "clone", where=[c]) for c in conditions
            )
            for id in (bare, snapped, held, exported)
        }

    assert store.write_sync(write) == {
        "bare": (True, True, True),
        "snapped": (False, True, True),
        "held": (True, False, True),
        "exported": (True, False, False),
    }


def test_a_member_of_a_group_snapshot_is_never_moved_alone(store: Store) -> None:
    def write(tx: Tx) -> bool:
        return snapshots.begin(tx, snapshot(tx, volume(tx), group_snapshot_id="g"), "delete", force=True)

    assert not store.write_sync(write)


def test_a_refusal_names_what_it_takes_what_there_is_and_who_holds_it(store: Store) -> None:
    def read(tx: Tx) -> WrongStatus:
        id = volume(tx, status="creating", operation_id="op-1", migration_status="migrating")
        return volumes.refuse(volumes.get(tx, id), "extend")

    error = store.write_sync(read)
    assert (error.needed, error.facts) == ("status available", {"operation": "op-1"})
    assert error.had == "status creating, detached, migration migrating"


def test_a_status_is_not_written_past_the_table(store: Store) -> None:
    id = store.write_sync(lambda tx: volume(tx))
    with pytest.raises(AssertionError):
        store.write_sync(lambda tx: volumes.write(tx, id, status="in-use"))
    with pytest.raises(NotFound):
        store.write_sync(lambda tx: volumes.settle(tx, "no such volume", "available"))


def test_a_volume_with_snapshots_cannot_be_removed(store: Store) -> None:
    def write(tx: Tx) -> str:
        id = volume(tx)
        snapshot(tx, id)
        return id

    id = store.write_sync(write)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        store.write_sync(lambda tx: volumes.remove(tx, id))
    assert store.read_sync(lambda tx: volumes.find(tx, id)) is not None


def test_a_volume_goes_with_the_attachments_that_nobody_uses(store: Store) -> None:
    def write(tx: Tx) -> str:
        id = volume(tx)
        _attached(tx, id, "detached")
        volumes.remove(tx, id)
        return id

    id = store.write_sync(write)
    assert store.read_sync(lambda tx: (volumes.find(tx, id), attachments.of_volume(tx, id))) == (None, ())

# SPDX-License-Identifier: Apache-2.0
"""Rows as they are read and changed: projects, metadata, types, messages, services; names exactly as they were given."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from breezeblock.model.errors import BadRequest, Conflict, NotFound
from breezeblock.model.volume_type import DEFAULT_TYPE
from breezeblock.store import attachments, messages, services, setup, snapshots, types, volumes
from breezeblock.store.clock import utc_text
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx
from tests.store.rows import snapshot, volume

NAMES = ["Name", "name", "name ", " name", "näme", "\N{BRICK} 名", "a" * 255, "", None]


def test_names_are_kept_exactly(store: Store) -> None:
    ids = store.write_sync(lambda tx: [volume(tx, name=name) for name in NAMES])
    assert store.read_sync(lambda tx: [volumes.get(tx, id).name for id in ids]) == NAMES


def test_another_projects_volume_is_not_there(store: Store) -> None:
    id = store.write_sync(lambda tx: volume(tx, project_id="p"))
    assert store.read_sync(lambda tx: volumes.get(tx, id, "p")).id == id
    for project in ("q", "P", "p "):
        with pytest.raises(NotFound):
            store.read_sync(lambda tx, project=project: volumes.get(tx, id, project))  # type: ignore[misc]


@pytest.mark.parametrize("column", ["metadata", "admin_metadata", "image_metadata"])
def test_metadata_is_merged_removed_and_replaced(store: Store, column: str) -> None:
    id = store.write_sync(lambda tx: volume(tx))

    def change(given: dict[str, str | None], *, replace: bool = False) -> dict[str, str]:
        return store.write_sync(lambda tx: volumes.set_metadata(tx, id, column, given, replace=replace))

    assert change({"a": "1", "Ä ": "\N{BRICK}"}) == {"a": "1", "Ä ": "\N{BRICK}"}
    assert change({"a": "2", "b": ""}) == {"a": "2", "Ä ": "\N{BRICK}", "b": ""}
    assert change({"a": None, "absent": None}) == {"Ä ": "\N{BRICK}", "b": ""}
    assert change({"c": "3"}, replace=True) == {"c": "3"}
    found = store.read_sync(lambda tx: volumes.get(tx, id))
    assert getattr(found, column) == {"c": "3"}
    assert found.version == 5
    with pytest.raises(NotFound):
        store.write_sync(lambda tx: volumes.set_metadata(tx, "nobody", column, {}))


def test_two_that_change_different_keys_at_once_both_count(store: Store) -> None:
    id = store.write_sync(lambda tx: volume(tx))
    start = threading.Barrier(2)

    def work(prefix: str) -> None:
        start.wait(20)
        for n in range(10):
            store.write_sync(lambda tx, n=n: volumes.set_metadata(tx, id, "metadata", {f"{prefix}{n}": "x"}))  # type: ignore[misc]

    threads = [threading.Thread(target=work, args=(prefix,)) for prefix in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(store.read_sync(lambda tx: volumes.get(tx, id)).metadata) == 20


def test_a_snapshots_metadata_too(store: Store) -> None:
    id = store.write_sync(lambda tx: snapshot(tx, volume(tx)))
    assert store.write_sync(lambda tx: snapshots.set_metadata(tx, id, {"a": "1", "b": "2"})) == {
        "a": "1",
        "b": "2",
    }
    assert store.write_sync(lambda tx: snapshots.set_metadata(tx, id, {"a": None})) == {"b": "2"}
    assert store.write_sync(lambda tx: snapshots.set_metadata(tx, id, {"c": "3"}, replace=True)) == {"c": "3"}
    assert store.read_sync(lambda tx: snapshots.get(tx, id)).version == 4


def test_a_summary_counts_and_gathers_metadata(store: Store) -> None:
    def write(tx: Tx) -> None:
        volume(tx, size=2, metadata='{"k":"a"}')
        volume(tx, size=3, metadata='{"k":"b","j":"x"}')
        volume(tx, size=5, project_id="q", metadata='{"k":"c"}')

    store.write_sync(write)
    assert store.read_sync(lambda tx: volumes.summary(tx, "p")) == (2, 5, {"k": ["a", "b"], "j": ["x"]})
    assert store.read_sync(lambda tx: volumes.summary(tx, None))[:2] == (3, 10)


def test_attachments_come_with_their_volume_oldest_first(store: Store) -> None:
    def write(tx: Tx) -> tuple[str, list[str]]:
        id, ids = volume(tx, attach_status="attached"), []
        for n in range(3):
            ids.append(str(uuid.uuid4()))
            attachments.create(
                tx, {"id": ids[-1], "volume_id": id, "project_id": "p", "created_at": f"2026-01-0{3 - n}"}
            )
        return id, ids

    id, ids = store.write_sync(write)
    assert [a.id for a in store.read_sync(lambda tx: volumes.get(tx, id)).attachments] == ids[::-1]


# -- types --------------------------------------------------------------------------------------------------------------------


def test_preparing_twice_makes_one_default_type(store: Store) -> None:
    store.write_sync(setup.prepare)
    assert store.read_sync(types.default).name == DEFAULT_TYPE


def test_two_processes_that_prepare_at_once_both_start(store: Store) -> None:
    from sqlalchemy import delete

    from breezeblock.store.schema import volume_types

    store.write_sync(lambda tx: tx.execute(delete(volume_types)))
    start, failures = threading.Barrier(2), list[Exception]()

    def work() -> None:
        start.wait(20)
        try:
            store.write_sync(setup.prepare)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert store.read_sync(types.default).name == DEFAULT_TYPE


def test_a_types_name_is_taken_once_and_case_counts(store: Store) -> None:
    store.write_sync(lambda tx: types.create(tx, "fast", extra_specs={"a": "1", "b": None}))
    other = store.write_sync(lambda tx: types.create(tx, "Fast"))
    with pytest.raises(Conflict):
        store.write_sync(lambda tx: types.create(tx, "fast"))
    with pytest.raises(Conflict):
        store.write_sync(lambda tx: types.write(tx, other.id, name="fast"))
    assert store.read_sync(lambda tx: types.get(tx, "fast")).extra_specs == {"a": "1", "b": None}
    assert store.read_sync(lambda tx: types.get(tx, other.id)).name == "Fast"


def test_an_id_wins_over_a_name_that_looks_like_it(store: Store) -> None:
    first = store.write_sync(lambda tx: types.create(tx, "first"))
    store.write_sync(lambda tx: types.create(tx, first.id))
    assert store.read_sync(lambda tx: types.get(tx, first.id)).name == "first"


def test_a_type_in_use_keeps_its_specs_and_stays(store: Store) -> None:
    kind = store.write_sync(lambda tx: types.create(tx, "used", extra_specs={"a": "1"}))
    assert store.write_sync(lambda tx: types.set_extra_specs(tx, kind.id, {"b": "2"})) == {"a": "1", "b": "2"}
    assert store.write_sync(lambda tx: types.set_extra_specs(tx, kind.id, {"a": ""}, remove=True)) == {
        "b": "2"
    }
    store.write_sync(lambda tx: volume(tx, volume_type_id=kind.id))
    with pytest.raises(BadRequest, match="in use"):
        store.write_sync(lambda tx: types.set_extra_specs(tx, kind.id, {"c": "3"}))
    with pytest.raises(BadRequest, match="in use"):
        store.write_sync(lambda tx: types.remove(tx, kind.id))


def test_the_default_type_stays_and_others_go(store: Store) -> None:
    with pytest.raises(BadRequest):
        store.write_sync(lambda tx: types.remove(tx, DEFAULT_TYPE))
    kind = store.write_sync(lambda tx: types.create(tx, "short-lived"))
    store.write_sync(lambda tx: types.remove(tx, kind.id))
    with pytest.raises(NotFound):
        store.read_sync(lambda tx: types.get(tx, kind.id))


# -- messages, findings, services ----------------------------------------------------------------------------------------------


def test_a_message_is_for_its_project_and_stays_its_days(store: Store) -> None:
    def write(tx: Tx) -> None:
        messages.tell(
            tx, project_id="p", request_id="r", resource_type="VOLUME", resource_id="v", event_id="E", text="why " * 500
        )  # fmt: skip

    store.write_sync(write)
    from breezeblock.model.paging import PageQuery

    (found,) = store.read_sync(lambda tx: messages.page(tx, PageQuery(project_id="p")))
    assert found.text == "why " * 500
    assert found.expires_at[:10] > found.created_at[:10]
    with pytest.raises(NotFound):
        store.read_sync(lambda tx: messages.get(tx, found.id, "q"))
    store.write_sync(lambda tx: messages.remove(tx, found.id))
    assert store.read_sync(lambda tx: messages.page(tx, PageQuery())) == []


def test_findings_are_told_newest_first(store: Store) -> None:
    store.write_sync(lambda tx: messages.find_out(tx, "v", None, "old", "first"))
    time.sleep(0.002)
    store.write_sync(lambda tx: messages.find_out(tx, "v", "op", "new", "second"))
    assert [code for code, *_ in store.read_sync(lambda tx: messages.findings_of(tx, "v"))] == ["new", "old"]


def test_a_service_beats_without_losing_what_an_operator_set(store: Store) -> None:
    def beat(tx: Tx) -> None:
        services.beat(tx, "cinder-volume", "h@b", availability_zone="nova")

    store.write_sync(beat)
    (row,) = store.read_sync(services.page)
    store.write_sync(lambda tx: services.switch(tx, row, disabled=True, reason="disk"))
    store.write_sync(beat)
    (again,) = store.read_sync(services.page)
    assert (again.id, again.disabled, again.disabled_reason) == (row.id, True, "disk")
    assert 0 <= again.age_seconds < 30


def test_a_silent_process_serves_nothing_and_is_forgotten(store: Store) -> None:
    def seen(tx: Tx, id: str, queue: str) -> None:
        services.seen(tx, id, host="h", pid=1, roles="volume", queues=[queue], started_at=utc_text())

    store.write_sync(lambda tx: seen(tx, "old", "q1"))
    time.sleep(0.05)
    store.write_sync(lambda tx: seen(tx, "new", "q2"))
    assert store.read_sync(lambda tx: services.served_queues(tx, 60_000_000)) == {"q1", "q2"}
    assert store.read_sync(lambda tx: services.served_queues(tx, 0)) == set()
    store.write_sync(lambda tx: services.forget_silent(tx, 40_000))
    assert "q1" not in store.read_sync(lambda tx: services.served_queues(tx, 60_000_000))
    store.write_sync(lambda tx: services.gone(tx, "new"))
    assert store.read_sync(lambda tx: services.served_queues(tx, 60_000_000)) == set()

# SPDX-License-Identifier: Apache-2.0
"""Attach, detach and reconnect of one volume, asked for while another of them is still at work: nothing stays exported or connected that
no row names, and no operation is left that can never end."""

from __future__ import annotations

import pytest

from breezeblock.drivers.driver import Kind
from breezeblock.flow.linear import Outcome
from breezeblock.model.identity import Caller
from breezeblock.model.units import GiB
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.create import create
from breezeblock.operations.attachment.delete import delete
from breezeblock.operations.host.attach import attach
from breezeblock.operations.host.detach import detach
from breezeblock.operations.host.reconnect import reconnect
from breezeblock.operations.volume.extend import extend
from breezeblock.store import attachments, history, operations, pools, volumes
from breezeblock.store.database import Store
from tests.api import rows
from tests.operations.outside import HOST, Outside

CONNECTOR = {"host": "host2"}


@pytest.fixture
def outside(store: Store) -> Outside:
    return Outside(store)


@pytest.fixture
def volume(store: Store, outside: Outside) -> str:
    id = rows.volume(store)
    outside.home.driver.put(id, Kind.VOLUME, GiB)
    return id


def check_nothing_is_left(outside: Outside, volume: str) -> None:
    assert outside.home.target.exports == {}
    assert outside.connected.devices == set()
    seen = rows.seen(outside.store, volume)
    assert (seen.status, seen.attach_status, seen.attachments) == ("available", "detached", ())
    assert sum(outside.store.read_sync(history.counts).values()) == 0


def test_a_delete_while_the_connection_is_made_ends_both(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    made = store.write_sync(lambda tx: create(tx, admin, volume))
    store.write_sync(lambda tx: connect(tx, admin, made.id, CONNECTOR))
    asked: list[str | None] = []
    outside.home.target.on_export = lambda: asked.append(
        store.write_sync(lambda tx: delete(tx, admin, made.id))
    )
    outside.settle()
    assert asked != [None]
    assert asked[0] is not None
    check_nothing_is_left(outside, volume)
    ended = store.read_sync(lambda tx: history.get(tx, str(asked[0]), None))
    assert ended.state == "succeeded"


def test_a_delete_before_the_connection_is_begun_cancels_it(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    made = store.write_sync(lambda tx: create(tx, admin, volume))
    operation = store.write_sync(lambda tx: connect(tx, admin, made.id, CONNECTOR))
    store.write_sync(lambda tx: delete(tx, admin, made.id))
    assert outside.settle() == [Outcome.CANCELLED, Outcome.SUCCEEDED]
    assert store.read_sync(lambda tx: history.get(tx, operation, None)).state == "cancelled"
    check_nothing_is_left(outside, volume)


def test_a_detach_behind_an_attach_that_works_takes_it_away_again(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    store.write_sync(lambda tx: attach(tx, admin, volume, host=HOST, here=HOST))
    store.write_sync(lambda tx: detach(tx, admin, volume_id=volume))
    outside.settle()
    check_nothing_is_left(outside, volume)


def test_a_detach_behind_an_attach_that_fails_has_nothing_to_do(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    outside.home.driver.objects.clear()  # nothing to export
    store.write_sync(lambda tx: attach(tx, admin, volume, host=HOST, here=HOST))
    store.write_sync(lambda tx: detach(tx, admin, volume_id=volume))
    assert outside.settle() == [Outcome.FAILED, Outcome.SUCCEEDED]
    check_nothing_is_left(outside, volume)


def test_what_is_to_be_deleted_keeps_its_newer_operation_when_the_older_one_ends(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    made, first = store.write_sync(lambda tx: attach(tx, admin, volume, host=HOST, here=HOST))
    second = store.write_sync(lambda tx: detach(tx, admin, volume_id=volume))
    assert second != first
    assert outside.turn() is Outcome.SUCCEEDED
    assert store.write_sync(lambda tx: detach(tx, admin, attachment_id=made.id)) == second


def test_a_reconnect_behind_a_detach_is_not_begun(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    made, _ = store.write_sync(lambda tx: attach(tx, admin, volume, host=HOST, here=HOST))
    outside.settle()
    store.write_sync(lambda tx: detach(tx, admin, volume_id=volume))
    assert store.write_sync(lambda tx: reconnect(tx, made.id, "its device is not there")) is None
    outside.settle()
    assert store.write_sync(lambda tx: reconnect(tx, made.id, "its device is not there")) is None
    check_nothing_is_left(outside, volume)


def test_a_cancelled_detach_leaves_the_volume_in_use(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    store.write_sync(lambda tx: attach(tx, admin, volume, host=HOST, here=HOST))
    outside.settle()
    operation = store.write_sync(lambda tx: detach(tx, admin, volume_id=volume))
    assert rows.seen(store, volume).status == "detaching"
    store.write_sync(lambda tx: operations.request_cancel(tx, operation))
    assert outside.settle() == [Outcome.CANCELLED]
    assert rows.seen(store, volume).status == "in-use"
    assert outside.connected.devices != set()


def test_a_volume_that_an_operation_holds_keeps_its_status_when_a_reservation_goes(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    rows.attached(store, volume)
    reserved = rows.attachment(store, volume)
    rows.status(store, volume, "extending", operation_id="1" * 36)
    store.write_sync(lambda tx: delete(tx, admin, reserved))
    seen = rows.seen(store, volume)
    assert (seen.status, seen.operation_id, seen.attach_status) == ("extending", "1" * 36, "attached")


def test_a_volume_whose_reconnect_failed_is_not_free_after_it_has_grown(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    store.write_sync(
        lambda tx: pools.write_backend(
            tx, rows.BACKEND, capabilities='{"online_extend":true,"targets":{"memory":{"live_resize":true}}}'
        )
    )
    made, _ = store.write_sync(lambda tx: attach(tx, admin, volume, host=HOST, here=HOST))
    outside.settle()
    store.write_sync(lambda tx: attachments.write(tx, made.id, attach_status="error_attaching"))
    store.write_sync(lambda tx: extend(tx, admin, volume, 2, attached_allowed=True))
    outside.settle()
    assert (rows.seen(store, volume).status, rows.seen(store, volume).size) == ("in-use", 2)


def test_an_attachment_that_goes_twice_does_not_touch_whose_volume_it_is_by_now(
    store: Store, outside: Outside, volume: str, admin: Caller
) -> None:
    made = store.write_sync(lambda tx: create(tx, admin, volume))
    store.write_sync(lambda tx: attachments.write(tx, made.id, attach_status="error_attaching"))
    store.write_sync(lambda tx: delete(tx, admin, made.id))
    store.write_sync(lambda tx: attachments.remove(tx, made.id))
    store.write_sync(lambda tx: volumes.settle(tx, volume, "maintenance"))
    assert outside.settle() == [Outcome.SUCCEEDED]
    assert rows.seen(store, volume).status == "maintenance"

# SPDX-License-Identifier: Apache-2.0
"""Requests about one volume that meet on a database server: whoever waits for the volume's lock must look again at what it locks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from breezeblock.model.errors import Conflict, Error
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.delete import delete, forget
from breezeblock.operations.fence_off import fence_off
from breezeblock.operations.host.detach import detach
from breezeblock.store import attachments, history, operations, setup, volumes
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.transaction import Tx
from tests.api import rows
from tests.operations.attachment.consumer import CONNECTOR, ELSEWHERE

pytestmark = pytest.mark.lab
DEADLINE = 30.0
#: Long enough for the second to come to where it has to wait; were it quicker, the test would only prove less.
MEETING = 0.5


@pytest.fixture(params=["postgresql", "mariadb"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    url = request.getfixturevalue(f"{request.param}_url")
    upgrade(url)
    store = Store(url)
    store.write_sync(setup.prepare)
    rows.backend(store)
    yield store
    store.close()


def met(store: Store, first: Callable[[Tx], object], second: Callable[[Tx], object]) -> Any:
    """What `second` gives (or the Error it raises) that begins while the changes of `first` stand but are not committed."""
    begun, outcome = threading.Event(), []

    def later() -> None:
        assert begun.wait(DEADLINE)
        try:
            outcome.append(store.write_sync(second))
        except Error as error:
            outcome.append(error)

    thread = threading.Thread(target=later)
    thread.start()

    def holding(tx: Tx) -> None:
        first(tx)
        begun.set()
        thread.join(MEETING)

    store.write_sync(holding)
    thread.join(DEADLINE)
    assert not thread.is_alive()
    return outcome[0]


def test_a_delete_that_meets_the_end_of_a_connect_takes_its_export_back(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="reserved")
    attachment = rows.attachment(store, volume)

    def recorded(tx: Tx) -> None:
        attachments.write(tx, attachment, connection='{"a": 1}', export='{"b": 2}', attach_status="attaching")
        volumes.begin(tx, volume, "attachment_connect")

    operation = met(store, recorded, lambda tx: delete(tx, member, attachment))
    assert isinstance(operation, str), "the export stands, so there is work to do"
    assert store.read_sync(lambda tx: attachments.export_of(tx, volume)) != ""


def test_of_two_connects_at_once_with_different_connectors_one_is_refused(
    store: Store, member: Caller
) -> None:
    attachment = rows.attachment(store, rows.volume(store, status="reserved"))
    refused = met(
        store,
        lambda tx: connect(tx, member, attachment, CONNECTOR),
        lambda tx: connect(tx, member, attachment, ELSEWHERE),
    )
    assert isinstance(refused, Conflict)


def test_two_connects_at_once_with_one_connector_are_one_operation(store: Store, member: Caller) -> None:
    attachment = rows.attachment(store, rows.volume(store, status="reserved"))
    first: list[str] = []
    joined = met(
        store,
        lambda tx: first.append(connect(tx, member, attachment, CONNECTOR)),
        lambda tx: connect(tx, member, attachment, CONNECTOR),
    )
    assert joined == first[-1]


def test_the_last_two_attachments_that_go_at_once_leave_the_volume_free(store: Store) -> None:
    volume = rows.volume(store, status="in-use", multiattach=True)
    one, other = rows.attachment(store, volume), rows.attached(store, volume)
    met(store, lambda tx: forget(tx, one, volume), lambda tx: forget(tx, other, volume))
    found = rows.seen(store, volume)
    assert (found.status, found.attach_status, found.attachments) == ("available", "detached", ())


def test_an_operation_settles_a_volume_by_the_attachments_that_remain_when_it_has_the_row(
    store: Store,
) -> None:
    volume = rows.volume(store, status="in-use")
    attachment = rows.attached(store, volume)
    rows.status(store, volume, "extending", attach_status="attached")
    met(
        store,
        lambda tx: forget(tx, attachment, volume),
        lambda tx: volumes.settle(tx, volume, "<by attachments>", size=2),
    )
    assert rows.seen(store, volume).status == "available"


def test_two_detaches_at_once_are_one_operation(store: Store, member: Caller) -> None:
    volume = rows.volume(store, status="in-use")
    rows.attached(store, volume, agent_host="host1", connection="{}", export="{}")
    first: list[str] = []
    joined = met(
        store,
        lambda tx: first.append(detach(tx, member, volume_id=volume)),
        lambda tx: detach(tx, member, volume_id=volume),
    )
    assert joined == first[-1]


def test_an_operation_that_is_fenced_off_while_it_ends_by_itself_has_ended_once(store: Store) -> None:
    new = operations.NewOperation(
        kind="snapshot.create", resource_type="snapshot", resource_id="s", project_id=rows.PROJECT, user_id=rows.USER,
        request_id="req-1", queue="q", tasks=["one"],
    )  # fmt: skip
    operation = store.write_sync(lambda tx: operations.submit(tx, new))
    met(
        store,
        lambda tx: history.finish(tx, operation, "succeeded", None),
        lambda tx: fence_off(tx, operation, "a test"),
    )
    assert store.read_sync(lambda tx: history.get(tx, operation, None)).state == "succeeded"

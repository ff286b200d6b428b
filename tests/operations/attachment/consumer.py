# SPDX-License-Identifier: Apache-2.0
"""What the consumer side of an attachment looks like to the tests of its verbs, and the database's view of it. No engine runs: an
operation stays ready until a test ends it."""

from __future__ import annotations

from breezeblock.model.attachment import Attachment
from breezeblock.store import attachments, history
from breezeblock.store.database import Store
from tests.api import rows

INSTANCE = "99999999-9999-4999-8999-999999999999"
CONNECTOR = {"host": "host1", "ip": "192.0.2.1"}
ELSEWHERE = {"host": "host2", "ip": "192.0.2.2"}
READONLY = '{"readonly":"True"}'


def connected(store: Store, volume: str, *, host: str = "host1", **facts: str) -> str:
    """An attachment that has its connection and nobody uses yet."""
    values = {"attach_status": "attaching", "connection": '{"driver_volume_type":"nbd"}', **facts}
    return rows.attachment(store, volume, connector=f'{{"host":"{host}"}}', **values)


def of(store: Store, volume: str) -> tuple[Attachment, ...]:
    return store.read_sync(lambda tx: attachments.of_volume(tx, volume))


def kind(store: Store, operation: str | None) -> str | None:
    """Of an operation that runs."""
    return None if operation is None else store.read_sync(lambda tx: history.find_running(tx, operation))

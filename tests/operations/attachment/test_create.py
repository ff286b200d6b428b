# SPDX-License-Identifier: Apache-2.0
"""Which mode an attachment gets, and who may reserve a volume twice."""

from __future__ import annotations

import pytest

from breezeblock.model.errors import WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment.connect import connect
from breezeblock.operations.attachment.create import create
from breezeblock.store import history
from breezeblock.store.database import Store
from tests.api import rows
from tests.operations.attachment.consumer import CONNECTOR, INSTANCE, READONLY


@pytest.mark.parametrize(
    ("flag", "asked", "got"),
    [
        (READONLY, "rw", "ro"), (READONLY, "ro", "ro"), (READONLY, None, "ro"), ("{}", "rw", "rw"), ("{}", "ro", "ro"),
        ("{}", None, "null"), ('{"readonly":"False"}', "rw", "rw"),
    ],
)  # fmt: skip
def test_a_readonly_volume_forces_the_mode_of_the_attachment(
    store: Store, member: Caller, flag: str, asked: str | None, got: str
) -> None:
    volume = rows.volume(store, admin_metadata=flag)
    made = store.write_sync(lambda tx: create(tx, member, volume, mode=asked))
    assert (made.attach_mode, made.attach_status) == (got, "reserved")
    assert rows.seen(store, volume).status == "reserved"


@pytest.mark.parametrize(("flag", "mode"), [(READONLY, "ro"), ("{}", "rw")])
def test_a_connection_for_writing_is_exported_for_reading_once_the_volume_is_readonly(
    store: Store, member: Caller, flag: str, mode: str
) -> None:
    volume = rows.volume(store, status="reserved", admin_metadata=flag)
    attachment = rows.attachment(store, volume, attach_mode="rw")
    operation = store.write_sync(lambda tx: connect(tx, member, attachment, CONNECTOR))
    assert store.read_sync(lambda tx: history.running_args(tx, operation))["mode"] == mode


def test_the_instance_that_has_reserved_a_volume_may_reserve_it_again_and_no_other(
    store: Store, member: Caller
) -> None:
    volume = rows.volume(store)
    store.write_sync(lambda tx: create(tx, member, volume, instance_uuid=INSTANCE))
    again = store.write_sync(lambda tx: create(tx, member, volume, instance_uuid=INSTANCE))
    assert again.instance_uuid == INSTANCE
    with pytest.raises(WrongStatus):
        store.write_sync(lambda tx: create(tx, member, volume, instance_uuid=rows.BACKEND))

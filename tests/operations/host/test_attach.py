# SPDX-License-Identifier: Apache-2.0
"""What is refused before a host is asked for anything."""

from __future__ import annotations

import pytest

from breezeblock.model.errors import WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.host.attach import attach
from breezeblock.store.database import Store
from tests.api import rows
from tests.operations.attachment.consumer import READONLY, of


def test_a_readonly_volume_becomes_no_device_for_writing(store: Store, member: Caller) -> None:
    volume = rows.volume(store, admin_metadata=READONLY)
    with pytest.raises(WrongStatus, match="read-only"):
        store.write_sync(lambda tx: attach(tx, member, volume, host="here"))
    assert (rows.seen(store, volume).status, of(store, volume)) == ("available", ())
    made, _ = store.write_sync(lambda tx: attach(tx, member, volume, host="here", mode="ro"))
    assert made.attach_mode == "ro"

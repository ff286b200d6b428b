# SPDX-License-Identifier: Apache-2.0
"""What a detach of a host says when no agent made the attachment."""

from __future__ import annotations

import pytest

from breezeblock.model.errors import NotFound
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment.create import create
from breezeblock.operations.host.detach import detach
from breezeblock.store.database import Store
from tests.api import rows


def test_a_clients_attachment_is_named_with_the_way_to_end_it(store: Store, member: Caller) -> None:
    volume = rows.volume(store)
    made = store.write_sync(lambda tx: create(tx, member, volume))
    with pytest.raises(NotFound) as refused:
        store.write_sync(lambda tx: detach(tx, member, volume_id=volume))
    assert made.id in str(refused.value.had)
    assert "detach --force" in refused.value.remedy


def test_nothing_attached_is_nothing_to_detach(store: Store, member: Caller) -> None:
    volume = rows.volume(store)
    with pytest.raises(NotFound) as refused:
        store.write_sync(lambda tx: detach(tx, member, volume_id=volume))
    assert (refused.value.had, refused.value.remedy) == ("no attachment", "There is nothing to detach.")

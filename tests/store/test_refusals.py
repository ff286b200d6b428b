# SPDX-License-Identifier: Apache-2.0
"""What a refused verb advises: only what an operation holds passes by waiting."""

from __future__ import annotations

import pytest

from breezeblock.store import volumes
from breezeblock.store.database import Store
from tests.store.rows import volume


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("in-use", "Detach the volume first"),
        ("reserved", "A client holds it"),
        ("attaching", "A client holds it"),
        ("error_deleting", "what went wrong"),
        ("extending", "Wait until the running operation ends"),
        ("creating", "Wait until the running operation ends"),
    ],
)
def test_the_advice_fits_whoever_holds_the_status(store: Store, status: str, advice: str) -> None:
    found = store.write_sync(lambda tx: volumes.get(tx, volume(tx, status=status)))
    assert advice in volumes.refuse(found, "delete").remedy


def test_what_an_operation_holds_meanwhile_is_waited_for(store: Store) -> None:
    found = store.write_sync(lambda tx: volumes.get(tx, volume(tx, status="reserved", operation_id="1")))
    assert "Wait until the running operation ends" in volumes.refuse(found, "delete").remedy

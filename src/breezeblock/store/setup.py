# SPDX-License-Identifier: Apache-2.0
"""What a database holds before the first request: the rows the engine needs and the default volume type. Idempotent."""

from __future__ import annotations

import contextlib

from sqlalchemy import select

from breezeblock.model.errors import Conflict
from breezeblock.model.volume_type import DEFAULT_TYPE
from breezeblock.store import keys, types
from breezeblock.store.remembered import NAMES
from breezeblock.store.schema import counters, volume_types
from breezeblock.store.sql import upsert
from breezeblock.store.transaction import Tx


def prepare(tx: Tx) -> None:
    rows = [{"name": name, "value": 0} for name in ["fence", NAMES, *keys.gate_names()]]
    upsert(tx, counters, ("name",), rows, keep=("value",))
    if tx.row(select(volume_types.c.id).where(volume_types.c.name == DEFAULT_TYPE)) is None:
        with contextlib.suppress(Conflict):  # another process starts at the same moment
            types.create(tx, DEFAULT_TYPE, description="Default Volume Type")

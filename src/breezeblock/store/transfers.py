# SPDX-License-Identifier: Apache-2.0
"""Rows of offers. An offer belongs to the project that makes it; whoever accepts it needs its id and its key only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, insert, select

from breezeblock.model.errors import NotFound
from breezeblock.model.paging import PageQuery
from breezeblock.model.transfer import Transfer
from breezeblock.store.paging import paged
from breezeblock.store.schema import transfers
from breezeblock.store.transaction import Tx

_SELECT = select(*[transfers.c[name] for name in Transfer.__struct_fields__])
COLUMNS: Mapping[str, ColumnElement[Any]] = dict(transfers.columns)


def page(tx: Tx, query: PageQuery) -> list[Transfer]:
    return [Transfer(*row) for row in tx.rows(paged(tx, _SELECT, COLUMNS, query, noun="Transfer"))]


def get(tx: Tx, id: str, project_id: str | None = None) -> Transfer:
    """Raises NotFound, also for another project's (project_id None: any)."""
    row = tx.row(_SELECT.where(transfers.c.id == id))
    found = None if row is None else Transfer(*row)
    if found is None or (project_id is not None and found.project_id != project_id):
        raise NotFound(f"Transfer {id} could not be found")
    return found


def create(tx: Tx, transfer: Transfer) -> None:
    tx.execute(insert(transfers), msgspec.structs.asdict(transfer))


def remove_of_volume(tx: Tx, volume_id: str) -> None:
    """An offer that is no more, because an administrator or a forced delete took the volume out of it."""
    tx.execute(delete(transfers).where(transfers.c.volume_id == volume_id))


def remove(tx: Tx, id: str) -> None:
    tx.execute(delete(transfers).where(transfers.c.id == id))

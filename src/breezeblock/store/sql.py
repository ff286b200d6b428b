# SPDX-License-Identifier: Apache-2.0
"""The few statements that the three dialects spell differently: upsert, locking reads, reading a JSON key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func
from sqlalchemy.dialects import mysql, postgresql, sqlite

from breezeblock.store.transaction import Tx


def upsert(
    tx: Tx, table: Table, keys: Sequence[str], rows: Sequence[Mapping[str, Any]], *, keep: Sequence[str] = ()
) -> None:
    """Insert rows, or replace the other columns (but those in `keep`) of the ones whose keys are there."""
    if not rows:
        return
    changed = [name for name in rows[0] if name not in keys and name not in keep]
    if tx.dialect in ("mysql", "mariadb"):
        insert = mysql.insert(table)
        kept = {name: insert.inserted[name] for name in changed} or {keys[0]: table.c[keys[0]]}
        tx.execute(insert.on_duplicate_key_update(kept), list(rows))
        return
    make = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    statement = make(table)
    if not changed:
        tx.execute(statement.on_conflict_do_nothing(index_elements=list(keys)), list(rows))
        return
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in changed}
        ),
        list(rows),
    )


def locked(tx: Tx, query: Select[Any], *, skip: bool = False) -> Select[Any]:
    """FOR UPDATE where rows have locks; SQLite's one writer needs none."""
    return query if tx.dialect == "sqlite" else query.with_for_update(skip_locked=skip)


def json_key(tx: Tx, column: ColumnElement[Any], key: str) -> ColumnElement[Any]:
    """The text under a key of a flat JSON object column; NULL when it is absent."""
    if tx.dialect == "postgresql":
        from sqlalchemy import Text, cast
        from sqlalchemy.dialects.postgresql import JSONB

        return cast(column, JSONB).op("->>", return_type=Text())(key)
    path = '$."' + key.replace('"', '\\"') + '"'
    return (
        func.json_value(column, path)
        if tx.dialect in ("mysql", "mariadb")
        else func.json_extract(column, path)
    )

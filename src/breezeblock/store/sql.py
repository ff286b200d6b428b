# SPDX-License-Identifier: Apache-2.0
"""The few statements that the three dialects spell differently: upsert, locking reads, reading a JSON key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Text, cast, func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from breezeblock.store.transaction import Tx

#: characters that JSON text holds escaped.
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


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


def contains(tx: Tx, column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """Case counts, as in every comparison of names (SQLite's LIKE would ignore it)."""
    if tx.dialect == "sqlite":
        return func.instr(column, part) > 0
    return column.contains(part, autoescape=True)


def json_key(tx: Tx, column: ColumnElement[Any], key: str) -> ColumnElement[Any]:
    """The text under a key of a flat JSON object column; NULL when it is absent."""
    if tx.dialect == "postgresql":
        return cast(column, postgresql.JSON).op("->>", return_type=Text())(key)
    if tx.dialect == "sqlite":
        if not _ESCAPED.search(key):
            return func.json_extract(column, f'$."{key}"')
        # SQLite's paths cannot spell a key that JSON writes with an escape
        each = func.json_each(column).table_valued("key", "value")
        return select(each.c.value).where(each.c.key == key).limit(1).scalar_subquery()
    path = '$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return func.json_value(column, path)

# SPDX-License-Identifier: Apache-2.0
"""The few statements that the three dialects spell differently: upsert, locking reads, reading a JSON key."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, ColumnElement, Executable, Select, Table, Text, cast, func, select, update

from breezeblock.store.prepared import Prepared, row_values, spread
from breezeblock.store.remembered import NAMES
from breezeblock.store.schema import counters
from breezeblock.store.transaction import Tx

#: characters that JSON text holds escaped.
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


def upsert(
    tx: Tx, table: Table, keys: Sequence[str], rows: Sequence[Mapping[str, Any]], *, keep: Sequence[str] = ()
) -> None:
    """Insert rows, or replace the other columns (but those in `keep`) of the ones whose keys are there."""
    if rows:
        statement = _upserting(table, tuple(keys), tuple(rows[0]), tuple(keep), len(rows))
        tx.run(statement, spread(rows))


@functools.cache
def _upserting(
    table: Table, keys: tuple[str, ...], columns: tuple[str, ...], keep: tuple[str, ...], number: int
) -> Prepared:
    """Of so many rows. There are few numbers: the tasks of a transaction, the keys of a quota."""
    rows = row_values(columns, number)
    changed = [name for name in columns if name not in keys and name not in keep]

    def made(dialect: str) -> Executable:
        # only the dialect in use is imported: each costs a start some ten milliseconds
        if dialect in ("mysql", "mariadb"):
            from sqlalchemy.dialects import mysql

            replacing = mysql.insert(table).values(rows)
            kept = {name: replacing.inserted[name] for name in changed} or {keys[0]: table.c[keys[0]]}
            return replacing.on_duplicate_key_update(kept)
        statement: Any
        if dialect == "postgresql":
            from sqlalchemy.dialects import postgresql

            statement = postgresql.insert(table).values(rows)
        else:
            from sqlalchemy.dialects import sqlite

            statement = sqlite.insert(table).values(rows)
        if not changed:
            return statement.on_conflict_do_nothing(index_elements=list(keys))  # type: ignore[no-any-return]
        replaced = {name: statement.excluded[name] for name in changed}
        return statement.on_conflict_do_update(index_elements=list(keys), set_=replaced)  # type: ignore[no-any-return]

    return Prepared(made)


_RENAMED = Prepared(update(counters).where(counters.c.name == NAMES).values(value=counters.c.value + 1))


def renamed(tx: Tx) -> None:
    """What rows of volumes show of another table has changed: nothing that a reader remembers of them is true any more."""
    tx.run(_RENAMED)


def locked(tx: Tx, query: Select[Any], *, skip: bool = False) -> Select[Any]:
    """FOR UPDATE where rows have locks; SQLite's one writer needs none."""
    return query if tx.dialect == "sqlite" else query.with_for_update(skip_locked=skip)


def locking(query: Select[Any], *, skip: bool = False) -> Prepared:
    """The same, prepared."""
    return Prepared(lambda dialect: query if dialect == "sqlite" else query.with_for_update(skip_locked=skip))


def contains(tx: Tx, column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """Case counts, as in every comparison of names (SQLite's LIKE would ignore it)."""
    if tx.dialect == "sqlite":
        return func.instr(column, part) > 0
    return column.contains(part, autoescape=True)


def json_key(tx: Tx, column: ColumnElement[Any], key: str) -> ColumnElement[Any]:
    """The text under a key of a flat JSON object column; NULL when it is absent."""
    if tx.dialect == "postgresql":
        return cast(column, JSON).op("->>", return_type=Text())(key)
    if tx.dialect == "sqlite":
        if not _ESCAPED.search(key):
            return func.json_extract(column, f'$."{key}"')
        # SQLite's paths cannot spell a key that JSON writes with an escape
        each = func.json_each(column).table_valued("key", "value")
        return select(each.c.value).where(each.c.key == key).limit(1).scalar_subquery()
    path = '$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return func.json_value(column, path)

# SPDX-License-Identifier: Apache-2.0
"""Statements of the hot paths. SQLAlchemy makes the SQL text once per dialect, from the same tables as everywhere; from then on the text
goes straight to the driver. Building and compiling a statement for each request costs twenty times what SQLite needs to answer it
(docs/BENCHMARKS.md), and Rows that nobody names cost the rest: here a row is the driver's tuple.

Everything that varies is a bindparam. What varies in number (an IN list) is a Prepared per number. Must never hold a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Dialect, Executable, Table, bindparam, insert
from sqlalchemy.sql.compiler import SQLCompiler

#: A statement, or how to make it where dialects differ (upserts): dialect's name -> statement.
Source = Executable | Callable[[str], Executable]


class Text(NamedTuple):
    """A statement as one driver wants it. `bind` turns parameters by name into the driver's; `booleans` are the columns that this
    database returns as numbers."""

    sql: str
    bind: Callable[[Mapping[str, Any]], Any]
    booleans: tuple[int, ...]

    def plain(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Rows with their booleans."""
        return [self._true(row) for row in rows] if self.booleans else rows

    def _true(self, row: Sequence[Any]) -> tuple[Any, ...]:
        cells = list(row)
        for i in self.booleans:
            cells[i] = _BOOLEAN[cells[i]]
        return tuple(cells)


_BOOLEAN = {0: False, 1: True, None: None}


class Prepared:
    """`columns` are those that an INSERT or UPDATE without values sets. Made at import; safe to share between threads."""

    __slots__ = ("_columns", "_source", "_texts")

    def __init__(self, source: Source, *, columns: Iterable[str] | None = None) -> None:
        self._source = source
        self._columns = None if columns is None else list(columns)
        self._texts: dict[str, Text] = {}

    def on(self, dialect: Dialect) -> Text:
        found = self._texts.get(dialect.name)
        if found is None:
            found = self._texts[dialect.name] = self._compiled(dialect)
        return found

    def _compiled(self, dialect: Dialect) -> Text:
        statement = self._source if isinstance(self._source, Executable) else self._source(dialect.name)
        made = statement.compile(dialect=dialect, column_keys=self._columns)  # type: ignore[attr-defined]
        assert isinstance(made, SQLCompiler)
        assert "__[POSTCOMPILE" not in made.string, "an IN list of a prepared statement has a fixed length"
        fixed = {name: value for name, value in made.params.items() if value is not None}
        names = made.positiontup if made.positional else None
        numbers = (
            ()
            if dialect.supports_native_boolean
            else tuple(i for i, column in enumerate(made._result_columns) if isinstance(column[3], Boolean))
        )
        return Text(made.string, _binder(names, fixed), numbers)


def inserting(table: Table, *, without: Iterable[str] = ()) -> Prepared:
    """INSERT of one row with every column; `without`: those that the database gives."""
    left_out = set(without)
    return Prepared(insert(table).inline(), columns=[c.name for c in table.columns if c.name not in left_out])


def row_values(columns: Iterable[str], number: int) -> list[dict[str, Any]]:
    """What `insert(...).values()` takes for so many rows in one statement; `spread` gives the parameters."""
    return [{column: bindparam(f"{column}_{n}") for column in columns} for n in range(number)]


def spread(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{column}_{n}": value for n, row in enumerate(rows) for column, value in row.items()}


def numbered(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Parameters of an IN list: name0, name1, ..."""
    return {f"{name}{n}": value for n, value in enumerate(values)}


def _binder(names: Sequence[str] | None, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Any]:
    """From parameters by name, over the constants of the statement, to a tuple (or a dict, where the driver wants names)."""
    if names is None:
        return (lambda given: {**fixed, **given}) if fixed else dict
    if not names:
        return lambda given: ()
    pick = itemgetter(*names)
    if len(names) == 1:
        pick = lambda given, only=names[0]: (given[only],)  # type: ignore[assignment] # noqa: E731
    return (lambda given: pick({**fixed, **given})) if fixed else pick

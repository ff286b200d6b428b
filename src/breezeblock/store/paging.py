# SPDX-License-Identifier: Apache-2.0
"""PageQuery -> SQL. A marker becomes a keyset condition, so that a page deep in a million rows costs what the first one costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Select, and_, case, false, func, or_

from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.paging import Filter, PageQuery
from breezeblock.store.sql import contains, json_key
from breezeblock.store.transaction import Tx

Columns = Mapping[str, ColumnElement[Any]]


def condition(tx: Tx, columns: Columns, wanted: Filter) -> ColumnElement[bool]:
    column = _column(columns, wanted.column)
    value = wanted.value
    match wanted.op:
        case "eq":
            return column.is_(None) if value is None else column == value
        case "neq":
            return column.is_not(None) if value is None else or_(column != value, column.is_(None))
        case "in":
            return column.in_(value) if isinstance(value, tuple) and value else false()
        case "like":
            return contains(tx, column, str(value))
        case "gt":
            return column > value
        case "gte":
            return column >= value
        case "lt":
            return column < value
        case "lte":
            return column <= value
        case "meta":
            assert isinstance(value, tuple)
            return and_(
                *[
                    json_key(tx, column, str(pair[0])) == str(pair[1])
                    for pair in value
                    if isinstance(pair, tuple)
                ]
            )


def paged(
    tx: Tx,
    base: Select[Any],
    columns: Columns,
    query: PageQuery,
    *,
    noun: str,
    extra: Sequence[ColumnElement[bool]] = (),
) -> Select[Any]:
    """The base select with filters, order, marker and limit. Raises NotFound for an unknown marker, BadRequest for an unknown key."""
    conditions = [condition(tx, columns, f) for f in query.filters] + list(extra)
    if query.project_id is not None:
        conditions.append(columns["project_id"] == query.project_id)
    order = [(name, direction) for name, direction in query.sort if name != "id"]
    tie = next((d for n, d in query.sort if n == "id"), query.sort[0][1] if query.sort else "desc")
    sort = [(_sortable(columns, name), direction) for name, direction in order] + [
        (_column(columns, "id"), tie)
    ]
    if query.marker is not None:
        conditions.append(_after(tx, base, columns, sort, query, noun))
    statement = base.where(*conditions).order_by(*[c.desc() if d == "desc" else c.asc() for c, d in sort])
    statement = statement.limit(query.limit)
    return statement.offset(query.offset) if query.offset else statement


def filtered(
    tx: Tx, base: Select[Any], columns: Columns, query: PageQuery, extra: Sequence[ColumnElement[bool]] = ()
) -> Select[Any]:
    """The base select with the filters only (counts)."""
    conditions = [condition(tx, columns, f) for f in query.filters] + list(extra)
    if query.project_id is not None:
        conditions.append(columns["project_id"] == query.project_id)
    return base.where(*conditions)


def _after(
    tx: Tx,
    base: Select[Any],
    columns: Columns,
    sort: Sequence[tuple[ColumnElement[Any], str]],
    query: PageQuery,
    noun: str,
) -> ColumnElement[bool]:
    named = base.with_only_columns(*[c for c, _ in sort], maintain_column_froms=True)
    found = named.where(columns["id"] == query.marker)
    if query.project_id is not None:
        found = found.where(columns["project_id"] == query.project_id)
    row = tx.row(found)
    if row is None:
        raise NotFound(f"{noun} {query.marker} could not be found (marker)")
    # a OR (= a AND (b OR (= b AND ...))), each level led by its own bound so that an index range is used
    out: ColumnElement[bool] | None = None
    for (column, direction), value in zip(reversed(sort), reversed(tuple(row)), strict=True):
        beyond = column < value if direction == "desc" else column > value
        bound = column <= value if direction == "desc" else column >= value
        out = beyond if out is None else and_(bound, or_(beyond, out))
    assert out is not None
    return out


def _column(columns: Columns, name: str) -> ColumnElement[Any]:
    try:
        return columns[name]
    except KeyError:
        raise BadRequest(f"Unknown key: {name}", needed=", ".join(sorted(columns))) from None


def _sortable(columns: Columns, name: str) -> ColumnElement[Any]:
    """NULLs sort as the smallest value everywhere (the dialects disagree on their own), false before true. A value of another table's
    row may be absent even where its column forbids NULL: only a plain column is believed."""
    column = _column(columns, name)
    if isinstance(column.type, Boolean):
        return case((column.is_(True), 2), (column.is_(False), 1), else_=0)
    if isinstance(column, Column) and not column.nullable:
        return column
    return func.coalesce(column, 0 if column.type.python_type is int else "")

# SPDX-License-Identifier: Apache-2.0
"""PageQuery -> SQL. A marker becomes a keyset condition, so that a page deep in a million rows costs what the first one costs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    or_,
)

from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.paging import Direction, Filter, PageQuery
from breezeblock.store.prepared import Prepared
from breezeblock.store.sql import contains, json_key
from breezeblock.store.transaction import Tx

Columns = Mapping[str, ColumnElement[Any]]
Sort = tuple[tuple[str, Direction], ...]
Ordering = Sequence[tuple[ColumnElement[Any], str]]


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
    sort = _ordering(columns, query.sort)
    if query.marker is not None:
        row = tx.row(_marked(base, columns, sort, query.marker, query.project_id))
        if row is None:
            raise NotFound(f"{noun} {query.marker} could not be found (marker)")
        conditions.append(_after(sort, row))
    statement = base.where(*conditions).order_by(*[c.desc() if d == "desc" else c.asc() for c, d in sort])
    statement = statement.limit(query.limit)
    return statement.offset(query.offset) if query.offset else statement


class Pages:
    """The pages of one noun. Without filters, which is how lists are mostly asked, their statements are prepared: one for each order,
    with and without a project, with and without a marker."""

    def __init__(self, base: Select[Any], columns: Columns, *, noun: str) -> None:
        self._base, self._columns, self._noun = base, columns, noun
        self._page = functools.lru_cache(64)(self._prepared_page)
        self._mark = functools.lru_cache(64)(self._prepared_mark)

    def rows(self, tx: Tx, query: PageQuery) -> Sequence[Any]:
        """Raises NotFound for an unknown marker, BadRequest for an unknown key."""
        if query.filters:
            return tx.rows(paged(tx, self._base, self._columns, query, noun=self._noun))
        scoped = query.project_id is not None
        values: dict[str, Any] = {"project": query.project_id, "most": query.limit, "from": query.offset}
        if query.marker is not None:
            row = tx.row(self._mark(query.sort, scoped), {"marker": query.marker, **values})
            if row is None:
                raise NotFound(f"{self._noun} {query.marker} could not be found (marker)")
            values |= {f"after{n}": value for n, value in enumerate(row)}
        return tx.rows(self._page(query.sort, scoped, query.marker is not None, query.offset > 0), values)

    def _prepared_page(self, sort: Sort, scoped: bool, marked: bool, moved: bool) -> Prepared:
        ordering = _ordering(self._columns, sort)
        statement = self._base
        if scoped:
            statement = statement.where(self._columns["project_id"] == bindparam("project"))
        if marked:
            places = [bindparam(f"after{n}", type_=column.type) for n, (column, _) in enumerate(ordering)]
            statement = statement.where(_after(ordering, places))
        statement = statement.order_by(*[c.desc() if d == "desc" else c.asc() for c, d in ordering])
        statement = statement.limit(bindparam("most", type_=Integer))
        return Prepared(statement.offset(bindparam("from", type_=Integer)) if moved else statement)

    def _prepared_mark(self, sort: Sort, scoped: bool) -> Prepared:
        ordering = _ordering(self._columns, sort)
        project: Any = bindparam("project") if scoped else None
        return Prepared(_marked(self._base, self._columns, ordering, bindparam("marker"), project))


def filtered(
    tx: Tx, base: Select[Any], columns: Columns, query: PageQuery, extra: Sequence[ColumnElement[bool]] = ()
) -> Select[Any]:
    """The base select with the filters only (counts)."""
    conditions = [condition(tx, columns, f) for f in query.filters] + list(extra)
    if query.project_id is not None:
        conditions.append(columns["project_id"] == query.project_id)
    return base.where(*conditions)


def _ordering(columns: Columns, sort: Sort) -> Ordering:
    """With the tie-break: by id, in the first pair's direction."""
    tie = next((d for n, d in sort if n == "id"), sort[0][1] if sort else "desc")
    named = [(_sortable(columns, name), direction) for name, direction in sort if name != "id"]
    return [*named, (_column(columns, "id"), tie)]


def _marked(
    base: Select[Any], columns: Columns, sort: Ordering, marker: Any, project: Any | None
) -> Select[Any]:
    """The marker's place in the order."""
    found = base.with_only_columns(*[c for c, _ in sort], maintain_column_froms=True).where(
        columns["id"] == marker
    )
    return found if project is None else found.where(columns["project_id"] == project)


def _after(sort: Ordering, place: Sequence[Any]) -> ColumnElement[bool]:
    """Behind a place: a OR (= a AND (b OR (= b AND ...))), each level led by its own bound so that an index range is used."""
    out: ColumnElement[bool] | None = None
    for (column, direction), value in zip(reversed(sort), reversed(tuple(place)), strict=True):
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

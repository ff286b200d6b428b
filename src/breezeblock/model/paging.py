# SPDX-License-Identifier: Apache-2.0
"""What a page of a list is asked by: filters, order, limit, marker. Made by the API from a query string, read by the store; it names
fields of the model (never SQL), so both sides can be tested alone. Must never hold a value that a caller has not been checked for."""

from __future__ import annotations

from typing import Literal

import msgspec

Op = Literal["eq", "neq", "in", "like", "gt", "gte", "lt", "lte", "meta"]
Direction = Literal["asc", "desc"]
Scalar = str | int | bool | None

#: A page never holds more (the contract's osapi_max_limit).
MAX_LIMIT = 1000


class Filter(msgspec.Struct, frozen=True):
    """One condition; all of a query's conditions hold together. `column` is a field of the model's Struct.

    eq, neq     value is a scalar; None means IS (NOT) NULL; neq also keeps rows that are NULL
    in          value is a tuple of scalars; an empty one matches nothing
    like        value is a substring, already without wildcards: the store escapes it and looks for %value%
    gt .. lte   value compares with the column; times are text as the model has them
    meta        column is "metadata" or "image_metadata", value a tuple of (key, value) pairs that must all be there
    """

    column: str
    op: Op
    value: Scalar | tuple[Scalar, ...] | tuple[tuple[str, str], ...]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`sort` are (field, direction) pairs without the tie-break: the store appends `id` in the first pair's direction. `marker` is the
    id of the last item of the page before; one that does not exist (in that project) is NotFound. `project_id` None: every project."""

    filters: tuple[Filter, ...] = ()
    sort: tuple[tuple[str, Direction], ...] = (("created_at", "desc"),)
    limit: int = MAX_LIMIT
    marker: str | None = None
    offset: int = 0
    project_id: str | None = None
    #: side-load the attachments of each volume (detail lists).
    with_attachments: bool = False

    def nothing(self) -> bool:
        """True when no row can match, so that no query is needed."""
        return self.limit == 0 or any(f.op == "in" and f.value == () for f in self.filters)

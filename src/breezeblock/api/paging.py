# SPDX-License-Identifier: Apache-2.0
"""Reading limit, marker, offset, order and filters of a list request into one PageQuery, and finishing the page: count and next link.
Every list goes through here, so that they agree. Must never touch the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from breezeblock.api import filters
from breezeblock.api.call import Call
from breezeblock.api.filters import Filters
from breezeblock.api.route import Query
from breezeblock.api.truth import query_truth
from breezeblock.api.views import links
from breezeblock.api.views.links import Link
from breezeblock.model.errors import BadRequest
from breezeblock.model.paging import Direction, PageQuery

COUNT_SINCE = 45
_INT_MAX = 2**31 - 1
_DIGITS = re.compile(r"[0-9]{1,18}")
#: Keys that are never filters.
_OURS = frozenset({"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count"})

#: Types are few; more than so many are not looked through.
MAX_TYPES = 10_000

T = TypeVar("T")

#: For the OpenAPI document.
ALL_TENANTS = Query(
    name="all_tenants", schema={"type": "boolean"}, description="Administrators: every project's."
)
PARAMETERS = (
    Query(
        name="limit",
        schema={"type": "integer", "minimum": 0},
        description="At most so many; capped by the service.",
    ),
    Query(
        name="marker", schema={"type": "string"}, description="The id of the last item of the page before."
    ),
    Query(name="offset", schema={"type": "integer", "minimum": 0, "maximum": _INT_MAX}),
    Query(name="sort", schema={"type": "string"}, description="key[:asc|desc], several by comma."),
    Query(name="sort_key", schema={"type": "string"}, description="Older form of sort."),
    Query(name="sort_dir", schema={"type": "string", "enum": ["asc", "desc"]}),
    ALL_TENANTS,
    Query(
        name="with_count",
        schema={"type": "boolean"},
        description="From 3.45: adds the number of all that match.",
    ),
)


def parameters(filters: Filters) -> tuple[Query, ...]:
    """Of a list with these filters."""
    return PARAMETERS + tuple(
        Query(name=key, schema={"type": "string"}, description="Filter.") for key in filters.listed
    )


def read(
    call: Call,
    known: Filters,
    *,
    extra: frozenset[str] = frozenset(),
    with_attachments: bool = False,
    pages: bool = True,
) -> PageQuery:
    """`extra`: keys that the handler reads itself. `pages` False: limit, marker and order are ignored at this version."""
    query = call.query
    everybody = call.caller.is_admin and query_truth(query, "all_tenants")
    rest = {k: v for k, v in query.items() if k not in _OURS and k not in extra}
    if not everybody:
        # Others than administrators see their own project whatever they name; so does an administrator who did not ask for all.
        rest.pop("project_id", None)
        rest.pop("tenant_id", None)
    found = filters.read(call, known, rest)
    maximum = call.services.facts.max_limit
    if not pages:
        return PageQuery(
            filters=found, limit=maximum, project_id=None if everybody else call.caller.project_id
        )
    return PageQuery(
        filters=found,
        sort=_order(query, known),
        limit=min(_number(query, "limit", maximum), maximum),
        marker=query.get("marker") or None,
        offset=_number(query, "offset", 0),
        project_id=None if everybody else call.caller.project_id,
        with_attachments=with_attachments,
    )


def wants_count(call: Call) -> bool:
    return call.version >= COUNT_SINCE and query_truth(call.query, "with_count")


def finish(
    call: Call, query: PageQuery, items: Sequence[Any], path: str, count: int | UnsetType = UNSET
) -> list[Link] | UnsetType:
    """The next link of a page: there is one when it is full (or, counted, when more match than fit on it)."""
    if not items or query.limit > (len(items) if count is UNSET else count):
        return UNSET
    return links.next_page(call, path, items[-1].id)


def page(
    call: Call,
    query: PageQuery,
    path: str,
    fetch: Callable[[PageQuery], Sequence[T]],
    count: Callable[[PageQuery], int] | None = None,
) -> tuple[Sequence[T], list[Link] | UnsetType, int | UnsetType]:
    """Items, next link, number of all: at most two queries, none when nothing can match."""
    items = [] if query.nothing() else fetch(query)
    total = count(query) if count is not None and wants_count(call) else UNSET
    return items, finish(call, query, items, path, total), total


def _number(query: dict[str, str], key: str, default: int) -> int:
    if key not in query:
        return default
    text = query[key].strip()
    if not _DIGITS.fullmatch(text) or int(text) > _INT_MAX:
        raise BadRequest(f"{key} must be an integer from 0 to {_INT_MAX}", had=repr(query[key][:40]))
    return int(text)


def _order(query: dict[str, str], known: Filters) -> tuple[tuple[str, Direction], ...]:
    if "sort" in query:
        if "sort_key" in query or "sort_dir" in query:
            raise BadRequest("sort cannot be mixed with sort_key and sort_dir", remedy="Use sort alone.")
        pairs = [
            part.strip().partition(":")[::2] for part in (query["sort"].strip() or "created_at").split(",")
        ]
    else:
        pairs = [(query.get("sort_key", "created_at").strip(), query.get("sort_dir", "").strip())]
    out: dict[str, Direction] = {}
    for key, direction in pairs:
        column = known.renamed.get(key, key)
        if column not in known.orders:
            raise BadRequest(
                f"Invalid sort key: {key[:40]!r}", needed=f"one of {', '.join(sorted(known.orders))}"
            )
        if direction not in ("", "asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction[:40]!r}", needed="asc or desc")
        out.setdefault(column, "asc" if direction == "asc" else "desc")
    return tuple(out.items())

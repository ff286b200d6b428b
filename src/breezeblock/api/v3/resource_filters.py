# SPDX-License-Identifier: Apache-2.0
"""Which filters each list knows (3.33)."""

from __future__ import annotations

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.filters import TOLD
from breezeblock.api.route import PLAIN, Query, route


class ResourceFilters(msgspec.Struct, frozen=True):
    resource: str
    filters: list[str]


class Answer(msgspec.Struct, frozen=True):
    resource_filters: list[ResourceFilters]


@route(
    "resource_filters.list",
    "GET /resource_filters",
    hop=PLAIN,
    min=33,
    query=(Query(name="resource", schema={"type": "string"}),),
)
def index(call: Call) -> Answer:
    """List the filters of one resource, or of all."""
    wanted = call.query.get("resource")
    return Answer(
        [ResourceFilters(name, list(keys)) for name, keys in TOLD.items() if wanted in (None, name)]
    )

# SPDX-License-Identifier: Apache-2.0
"""Clusters (3.7) of volume services. There are none: every service that reaches a shared backend works for it, without a name for them
together. So the lists are empty and every name is unknown."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Name, Text255
from breezeblock.api.route import PLAIN, Query, route
from breezeblock.model.errors import BadRequest, NotFound

SINCE = 7
REPLICATION = 26
_FILTERS = ("name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts")
_LATER = ("replication_status", "frozen", "active_backend_id")
_QUERY = tuple(Query(name=name, schema={"type": "string"}) for name in (*_FILTERS, *_LATER))


class Which(msgspec.Struct):
    name: Name
    binary: Text255 | None = None


class WhichAndWhy(Which):
    disabled_reason: Text255 | None = None


class Answer(msgspec.Struct, frozen=True):
    clusters: list[dict[str, Any]]


@route("clusters.list", "GET /clusters", hop=PLAIN, policy="clusters:get_all", min=SINCE, query=_QUERY)
def index(call: Call) -> Answer:
    """List clusters: there are none."""
    return _none(call)


@route(
    "clusters.detail", "GET /clusters/detail", hop=PLAIN, policy="clusters:get_all", min=SINCE, query=_QUERY
)
def detail(call: Call) -> Answer:
    """List clusters with details: there are none."""
    return _none(call)


@route("clusters.show", "GET /clusters/{cluster_name}", hop=PLAIN, policy="clusters:get", min=SINCE)
def show(call: Call, cluster_name: str) -> Answer:
    """Show a cluster: none has a name."""
    _unknown(cluster_name)


@route(
    "clusters.enable",
    "PUT /clusters/enable",
    hop=PLAIN,
    policy="clusters:update",
    body=Body(None, Which),
    min=SINCE,
)
def enable(call: Call, body: Which) -> Answer:
    """Enable a cluster: none has a name."""
    _unknown(body.name)


@route(
    "clusters.disable",
    "PUT /clusters/disable",
    hop=PLAIN,
    policy="clusters:update",
    body=Body(None, WhichAndWhy),
    min=SINCE,
)
def disable(call: Call, body: WhichAndWhy) -> Answer:
    """Disable a cluster: none has a name."""
    _unknown(body.name)


def _none(call: Call) -> Answer:
    known = {*_FILTERS, *(_LATER if call.version >= REPLICATION else ())}
    unknown = sorted(call.query.keys() - known)
    if unknown:
        raise BadRequest(f"Unknown filter {unknown[0][:60]!r}", needed=f"any of {', '.join(sorted(known))}")
    return Answer([])


def _unknown(name: str) -> NoReturn:
    raise NotFound(
        f"Cluster {name[:60]} could not be found",
        remedy="Switch the services of its hosts one by one (os-services).",
    )

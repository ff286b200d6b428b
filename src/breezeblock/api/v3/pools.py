# SPDX-License-Identifier: Apache-2.0
"""The pools as the scheduler knows them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.filters import CONFIGURED, TOLD
from breezeblock.api.route import Query, route
from breezeblock.api.truth import query_truth
from breezeblock.model.errors import BadRequest
from breezeblock.model.volume_type import VolumeType
from breezeblock.operations.placement import state_of
from breezeblock.store import pools, types
from breezeblock.store.transaction import Tx

#: Filters work from here on, and the one by type from there.
FILTERS, TYPE_FILTER = 28, 35


class PoolDetail(msgspec.Struct, frozen=True):
    name: str
    capabilities: dict[str, Any] | UnsetType = UNSET


class Answer(msgspec.Struct, frozen=True):
    pools: list[PoolDetail]


@route(
    "pools.list",
    "GET /scheduler-stats/get_pools",
    policy="scheduler_extension:scheduler_stats:get_pools",
    query=(
        Query(name="detail", schema={"type": "boolean"}),
        Query(name="name", schema={"type": "string"}),
        Query(name="volume_type", schema={"type": "string"}),
    ),
)
def index(call: Call, tx: Tx) -> Answer:
    """List pools, with detail=true with their capabilities."""
    detailed = query_truth(call.query, "detail")
    given = (
        {key: value for key, value in call.query.items() if key != "detail"}
        if call.version >= FILTERS
        else {}
    )
    unknown = given.keys() - set(TOLD["pool"])
    if unknown and call.version >= CONFIGURED:
        raise BadRequest(
            f"Invalid filters {', '.join(sorted(unknown))[:80]}", needed=f"any of {', '.join(TOLD['pool'])}"
        )
    kind = (
        types.get(tx, given["volume_type"])
        if call.version >= TYPE_FILTER and "volume_type" in given
        else None
    )
    shown = []
    for row in pools.page(tx):
        facts = state_of(row).facts()
        if given.get("name") in (None, row.host) and (kind is None or _serves(kind, facts)):
            shown.append(PoolDetail(row.host, _capabilities(facts) if detailed else UNSET))
    return Answer(shown)


def _capabilities(facts: dict[str, Any]) -> dict[str, Any]:
    """A protocol with several spellings is shown by its first."""
    protocol = facts.get("storage_protocol")
    if isinstance(protocol, list):
        facts = {**facts, "storage_protocol": protocol[0] if protocol else None}
    return facts


def _serves(kind: VolumeType, facts: dict[str, Any]) -> bool:
    wanted = kind.extra_specs.get("volume_backend_name")
    return wanted is None or wanted == facts["volume_backend_name"]

# SPDX-License-Identifier: Apache-2.0
"""A project's quota: limits, with usage when asked, and an administrator's changes to them. Per-type keys are there for every type."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import INT_MAX, QuotaValue
from breezeblock.api.route import WRITE, Query, route
from breezeblock.api.truth import query_truth
from breezeblock.api.v3.types import all_types
from breezeblock.model.errors import BadRequest
from breezeblock.store import quotas
from breezeblock.store.transaction import Tx

#: A body may carry the project's id again.
_IGNORED = frozenset({"tenant_id", "id"})
#: Limits that nothing is used of.
_NO_USAGE = frozenset({"per_volume_gigabytes"})

Wanted = Annotated[dict[str, Any], Meta(min_length=1)]


class Answer(msgspec.Struct, frozen=True):
    quota_set: dict[str, Any]


@route(
    "quota_sets.show",
    "GET /os-quota-sets/{target_project_id}",
    policy="volume_extension:quotas:show",
    about="target_project_id",
    query=(Query(name="usage", schema={"type": "boolean"}),),
)
def show(call: Call, tx: Tx, target_project_id: str) -> Answer:
    """Limits, or with usage=true limits and usage."""
    found = with_types(tx, quotas.limits(tx, target_project_id))
    if not query_truth(call.query, "usage"):
        return Answer({"id": target_project_id, **found})
    used = quotas.used(tx, target_project_id)
    shown = {key: {"limit": limit, "in_use": used.get(key, 0), "reserved": 0} for key, limit in found.items()}
    return Answer({"id": target_project_id, **shown})


@route(
    "quota_sets.defaults",
    "GET /os-quota-sets/{target_project_id}/defaults",
    policy="volume_extension:quotas:show",
    about="target_project_id",
)
def defaults(call: Call, tx: Tx, target_project_id: str) -> Answer:
    """What a project has that nobody changed."""
    return Answer({"id": target_project_id, **with_types(tx, quotas.class_limits(tx, "default"))})


@route(
    "quota_sets.update",
    "PUT /os-quota-sets/{target_project_id}",
    hop=WRITE,
    policy="volume_extension:quotas:update",
    body=Body("quota_set", Wanted),
)
def update(call: Call, tx: Tx, target_project_id: str, body: dict[str, Any]) -> Answer:
    """Change limits; -1 is unlimited."""
    wanted = limits_of(tx, body)
    used = quotas.used(tx, target_project_id)
    for key, limit in wanted.items():
        if key not in _NO_USAGE and 0 <= limit < used.get(key, 0):
            raise BadRequest(
                f"The limit of {key} is less than what the project uses",
                needed=f"at least {used[key]}, or -1",
                had=limit,
            )
    if wanted:
        quotas.set_limits(tx, target_project_id, wanted)
    return Answer(with_types(tx, quotas.limits(tx, target_project_id)))


@route(
    "quota_sets.delete",
    "DELETE /os-quota-sets/{target_project_id}",
    hop=WRITE,
    policy="volume_extension:quotas:delete",
)
def remove(call: Call, tx: Tx, target_project_id: str) -> None:
    """Back to the defaults."""
    quotas.reset_limits(tx, target_project_id)


def with_types(tx: Tx, limits: dict[str, int]) -> dict[str, int]:
    """Every key there is: also those per type that nobody limited."""
    names = [f"{key}_{kind.name}" for kind in all_types(tx) for key in quotas.PER_TYPE]
    return {**{name: limits.get(name, -1) for name in names}, **limits}


def limits_of(tx: Tx, body: dict[str, Any]) -> dict[str, int]:
    """The limits of a body. Raises BadRequest for an unknown key or a value that is no limit."""
    known = with_types(tx, dict(quotas.DEFAULTS)).keys()
    wanted: dict[str, int] = {}
    for key, value in body.items():
        if key in _IGNORED:
            continue
        if key not in known:
            raise BadRequest(f"Bad key in quota set: {key[:60]}", needed=f"one of {', '.join(sorted(known))}")
        try:
            limit = int(msgspec.convert(value, QuotaValue))
        except (msgspec.ValidationError, ValueError):
            limit = INT_MAX + 1
        if not -1 <= limit <= INT_MAX:
            raise BadRequest(f"{key} must be an integer from -1 to {INT_MAX}", had=repr(value)[:40])
        wanted[key] = limit
    return wanted

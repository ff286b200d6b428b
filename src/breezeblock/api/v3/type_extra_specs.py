# SPDX-License-Identifier: Apache-2.0
"""A type's extra specs: what the scheduler and the driver read of it. Those who may not read all see the user-visible keys only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import ExtraSpecs
from breezeblock.api.route import WRITE, route
from breezeblock.api.v3.volume_metadata import same_key
from breezeblock.api.views.volume_type import Specs, visible_specs
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.store import types
from breezeblock.store.transaction import Tx

RULE = "volume_extension:types_extra_specs:"

OnePair = Annotated[ExtraSpecs, msgspec.Meta(min_length=1, max_length=1)]


class AllSpecs(msgspec.Struct, frozen=True):
    extra_specs: Specs


@route("type_extra_specs.list", "GET /types/{type_id}/extra_specs", policy=RULE + "index")
def index(call: Call, tx: Tx, type_id: str) -> AllSpecs:
    """The extra specs that the caller may see."""
    return AllSpecs(visible_specs(call, types.get(tx, type_id, call.caller).extra_specs))


@route(
    "type_extra_specs.create",
    "POST /types/{type_id}/extra_specs",
    hop=WRITE,
    policy=RULE + "create",
    body=Body("extra_specs", ExtraSpecs),
)
def merge(call: Call, tx: Tx, type_id: str, body: dict[str, str | None]) -> AllSpecs:
    """Add extra specs."""
    _check(types.get(tx, type_id).extra_specs | body)
    types.set_extra_specs(tx, types.get(tx, type_id).id, body)
    return AllSpecs(body)


@route("type_extra_specs.show", "GET /types/{type_id}/extra_specs/{key}", policy=RULE + "show")
def show(call: Call, tx: Tx, type_id: str, key: str) -> dict[str, str | None]:
    """One extra spec."""
    seen = visible_specs(call, types.get(tx, type_id, call.caller).extra_specs)
    return {key: _value(seen, type_id, key)}


@route(
    "type_extra_specs.update",
    "PUT /types/{type_id}/extra_specs/{key}",
    hop=WRITE,
    policy=RULE + "update",
    body=Body(None, OnePair),
)
def update_item(
    call: Call, tx: Tx, type_id: str, key: str, body: dict[str, str | None]
) -> dict[str, str | None]:
    """Set one extra spec."""
    same_key(key, body)
    found = types.get(tx, type_id)
    _check(found.extra_specs | body)
    types.set_extra_specs(tx, found.id, body)
    return body


@route(
    "type_extra_specs.delete",
    "DELETE /types/{type_id}/extra_specs/{key}",
    hop=WRITE,
    status=202,
    policy=RULE + "delete",
)
def delete_item(call: Call, tx: Tx, type_id: str, key: str) -> None:
    """Remove one extra spec."""
    found = types.get(tx, type_id)
    _value(found.extra_specs, type_id, key)
    types.set_extra_specs(tx, found.id, {key: None}, remove=True)


def _value(specs: dict[str, str | None], type_id: str, key: str) -> str | None:
    if key not in specs:
        raise NotFound(f"Volume Type {type_id} has no extra specs with key {key}")
    return specs[key]


def _check(specs: dict[str, Any]) -> None:
    """Specs that exclude each other."""
    if specs.get("multiattach") == "<is> True" and specs.get("cacheable") == "<is> True":
        raise BadRequest("cacheable cannot be set together with multiattach")

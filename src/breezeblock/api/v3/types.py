# SPDX-License-Identifier: Apache-2.0
"""Volume types: list, show, create, update, delete."""

from __future__ import annotations

import ast
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api import paging
from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Name, Text255, not_blank, printable
from breezeblock.api.filters import CONFIGURED, VOLUME_TYPE
from breezeblock.api.route import WRITE, route
from breezeblock.api.truth import Truth, truth
from breezeblock.api.views import volume_type as view
from breezeblock.model.errors import BadRequest
from breezeblock.model.paging import Filter, PageQuery
from breezeblock.model.volume_type import VolumeType
from breezeblock.store import types
from breezeblock.store.transaction import Tx

#: The extra_specs filter works from here on.
SPECS_FILTER = 52

Specs = dict[Annotated[str, msgspec.Meta(min_length=1, max_length=255)], Text255 | None]


class TypeRequest(msgspec.Struct):
    """The body of a create."""

    name: Name
    description: Text255 | None = None
    extra_specs: Specs | None = None
    is_public: Truth = msgspec.field(name="os-volume-type-access:is_public", default=True)

    def __post_init__(self) -> None:
        not_blank("name", self.name)
        self.name = self.name.strip()
        printable("description", self.description)


class UpdateRequest(msgspec.Struct):
    name: Name | UnsetType | None = UNSET
    description: Text255 | UnsetType | None = UNSET
    is_public: Truth | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        not_blank("name", self.name)
        if isinstance(self.name, str):
            self.name = self.name.strip()
        printable("description", self.description)


LIST = paging.parameters(VOLUME_TYPE)


@route("types.list", "GET /types", policy="volume_extension:type_get_all", query=LIST)
def index(call: Call, tx: Tx) -> view.TypeList:
    """List the types that the caller may use."""
    query = paging.read(call, VOLUME_TYPE, extra=frozenset({"is_public", "extra_specs"}))
    query = msgspec.structs.replace(query, project_id=None, filters=query.filters + public_filter(call))
    wanted = _specs(call)
    if wanted is None:
        found, more, _ = paging.page(call, query, "types", lambda q: types.page(tx, q, call.caller))
        return view.TypeList([view.detail(call, kind) for kind in found], more)
    # Specs are free keys: the page is cut after they have been looked at.
    kinds = types.page(tx, msgspec.structs.replace(query, limit=paging.MAX_TYPES, offset=0), call.caller)
    matching = [kind for kind in kinds if _has(call, kind, wanted)][query.offset : query.offset + query.limit]
    return view.TypeList(
        [view.detail(call, kind) for kind in matching], paging.finish(call, query, matching, "types")
    )


def public_filter(call: Call) -> tuple[Filter, ...]:
    """An administrator chooses; the others see public types and those they were given access to."""
    if not call.caller.is_admin:
        return ()
    asked = call.query.get("is_public", "true")
    if asked.strip().lower() == "none":
        return ()
    known = truth(asked)
    if known is None:
        raise BadRequest("Invalid is_public filter", needed="true, false or none", had=repr(asked[:40]))
    return (Filter("is_public", "eq", known),)


def _specs(call: Call) -> dict[str, str] | None:
    asked = call.query.get("extra_specs")
    if asked is None or call.version < SPECS_FILTER:
        if asked is not None and call.version >= CONFIGURED:
            raise BadRequest(
                "Invalid filters 'extra_specs' are found in query options",
                needed="microversion 3.52 or later",
            )
        return None
    try:
        found = ast.literal_eval(asked) if len(asked) < 8192 else None
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    raise BadRequest("extra_specs must be an object", needed="{'key': 'value'}", had=repr(asked[:60]))


def _has(call: Call, kind: VolumeType, wanted: dict[str, str]) -> bool:
    seen = view.visible_specs(call, kind.extra_specs)
    return all(seen.get(key) == value for key, value in wanted.items())


@route("types.show", "GET /types/{type_id}", policy="volume_extension:type_get")
def show(call: Call, tx: Tx, type_id: str) -> view.OneType:
    """Show a type; 'default' is the effective default type."""
    found = (
        types.default(tx, call.caller.project_id)
        if type_id == "default"
        else types.get(tx, type_id, call.caller)
    )
    return view.OneType(view.detail(call, found))


@route(
    "types.create",
    "POST /types",
    hop=WRITE,
    policy="volume_extension:type_create",
    body=Body("volume_type", TypeRequest),
    errors=(409,),
)
def create(call: Call, tx: Tx, body: TypeRequest) -> view.OneType:
    """Create a type."""
    made = types.create(
        tx,
        body.name,
        description=body.description,
        is_public=bool(truth(body.is_public)),
        extra_specs=body.extra_specs or {},
    )
    return view.OneType(view.detail(call, made, created=True))


@route(
    "types.update",
    "PUT /types/{type_id}",
    hop=WRITE,
    policy="volume_extension:type_update",
    body=Body("volume_type", UpdateRequest),
    errors=(409,),
)
def update(call: Call, tx: Tx, type_id: str, body: UpdateRequest) -> view.OneType:
    """Change name, description or whether it is public."""
    changes: dict[str, object] = {}
    if isinstance(body.name, str):
        changes["name"] = body.name
    if body.description is not UNSET:
        changes["description"] = body.description
    if body.is_public is not UNSET and body.is_public is not None:
        changes["is_public"] = bool(truth(body.is_public))
    if not changes or (changes.keys() == {"description"} and body.description is None):
        raise BadRequest("Specify volume type name, description, is_public or a combination thereof")
    found = types.get(tx, type_id)
    return view.OneType(view.detail(call, types.write(tx, found.id, **changes)))


@route(
    "types.delete", "DELETE /types/{type_id}", hop=WRITE, status=202, policy="volume_extension:type_delete"
)
def remove(call: Call, tx: Tx, type_id: str) -> None:
    """Delete a type that no volume has."""
    types.remove(tx, types.get(tx, type_id).id)


def all_types(tx: Tx) -> list[VolumeType]:
    """Every type, by name."""
    return types.page(tx, PageQuery(sort=(("name", "asc"),), limit=paging.MAX_TYPES))

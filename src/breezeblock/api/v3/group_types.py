# SPDX-License-Identifier: Apache-2.0
"""Group types (3.11) and their specs. Everybody sees the public types; specs are an administrator's."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api import paging
from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import ExtraSpecs, Metadata, Name, Text255, not_blank, printable
from breezeblock.api.filters import GROUP_TYPE
from breezeblock.api.route import WRITE, route
from breezeblock.api.truth import Truth, truth
from breezeblock.api.v3.types import public_filter
from breezeblock.api.v3.volume_metadata import same_key
from breezeblock.api.views.links import Link
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.model.group_type import GroupType
from breezeblock.store import group_types
from breezeblock.store.transaction import Tx

SINCE = 11
RULE, SPECS_RULE = "group:group_types:", "group:group_types_specs:"
PATH, SPECS = "/group_types", "/group_types/{group_type_id}/group_specs"
SEES_SPECS = "group:access_group_types_specs"

OnePair = Annotated[ExtraSpecs, msgspec.Meta(min_length=1, max_length=1)]


class Wanted(msgspec.Struct):
    name: Name
    description: Text255 | None = None
    is_public: Truth = True
    group_specs: Metadata | None = None

    def __post_init__(self) -> None:
        not_blank("name", self.name)
        printable("description", self.description)


class Change(msgspec.Struct):
    name: Text255 | UnsetType | None = UNSET
    description: Text255 | UnsetType | None = UNSET
    is_public: Truth | UnsetType = UNSET

    def __post_init__(self) -> None:
        not_blank("name", self.name)
        printable("description", self.description)


class Detail(msgspec.Struct, frozen=True):
    id: str
    name: str
    description: str | None
    is_public: bool
    group_specs: dict[str, str | None] | UnsetType = UNSET


class One(msgspec.Struct, frozen=True):
    group_type: Detail


class Page(msgspec.Struct, frozen=True):
    group_types: list[Detail]
    group_type_links: list[Link] | UnsetType = UNSET


class AllSpecs(msgspec.Struct, frozen=True):
    group_specs: dict[str, str | None]


def _detail(call: Call, kind: GroupType) -> Detail:
    specs = kind.group_specs if call.allows(SEES_SPECS) else UNSET
    return Detail(kind.id, kind.name, kind.description, kind.is_public, specs)


@route("group_types.list", f"GET {PATH}", min=SINCE, query=paging.parameters(GROUP_TYPE))
def index(call: Call, tx: Tx) -> Page:
    """List the group types that the caller may use."""
    query = paging.read(call, GROUP_TYPE, extra=frozenset({"is_public"}))
    query = msgspec.structs.replace(query, project_id=None, filters=query.filters + public_filter(call))
    found, more, _ = paging.page(call, query, "group_types", lambda q: group_types.page(tx, q, call.caller))
    return Page([_detail(call, kind) for kind in found], more)


@route("group_types.show", f"GET {PATH}/{{group_type_id}}", min=SINCE)
def show(call: Call, tx: Tx, group_type_id: str) -> One:
    """Show a group type."""
    return One(_detail(call, group_types.get(tx, group_type_id, call.caller)))


@route(
    "group_types.create",
    f"POST {PATH}",
    hop=WRITE,
    status=202,
    policy=RULE + "create",
    body=Body("group_type", Wanted),
    errors=(409,),
    min=SINCE,
)
def create(call: Call, tx: Tx, body: Wanted) -> One:
    """Create a group type."""
    made = group_types.create(
        tx,
        body.name.strip(),
        description=body.description,
        is_public=bool(truth(body.is_public)),
        group_specs=body.group_specs or {},
    )
    return One(_detail(call, made))


@route(
    "group_types.update",
    f"PUT {PATH}/{{group_type_id}}",
    hop=WRITE,
    policy=RULE + "update",
    body=Body("group_type", Change),
    errors=(409,),
    min=SINCE,
)
def update(call: Call, tx: Tx, group_type_id: str, body: Change) -> One:
    """Change name, description or whether it is public."""
    changes: dict[str, Any] = {}
    if isinstance(body.name, str):
        changes["name"] = body.name.strip()
    if body.description is not UNSET:
        changes["description"] = body.description
    if body.is_public is not UNSET:
        changes["is_public"] = bool(truth(body.is_public))
    if not changes or (changes.keys() == {"description"} and body.description is None):
        raise BadRequest("Specify group type name, description, is_public or a combination thereof")
    return One(_detail(call, group_types.write(tx, group_types.get(tx, group_type_id).id, **changes)))


@route(
    "group_types.delete",
    f"DELETE {PATH}/{{group_type_id}}",
    hop=WRITE,
    status=202,
    policy=RULE + "delete",
    min=SINCE,
)
def remove(call: Call, tx: Tx, group_type_id: str) -> None:
    """Delete a group type."""
    group_types.remove(tx, group_types.get(tx, group_type_id).id)


# -- specs -------------------------------------------------------------------------------------------------------------------------


@route("group_specs.list", f"GET {SPECS}", policy=SPECS_RULE + "get_all", min=SINCE)
def specs(call: Call, tx: Tx, group_type_id: str) -> AllSpecs:
    """The specs of a group type."""
    return AllSpecs(group_types.get(tx, group_type_id).group_specs)


@route(
    "group_specs.create",
    f"POST {SPECS}",
    hop=WRITE,
    status=202,
    policy=SPECS_RULE + "create",
    body=Body("group_specs", ExtraSpecs),
    min=SINCE,
)
def merge_specs(call: Call, tx: Tx, group_type_id: str, body: dict[str, str | None]) -> AllSpecs:
    """Add specs."""
    group_types.set_specs(tx, group_types.get(tx, group_type_id).id, body)
    return AllSpecs(body)


@route("group_specs.show", f"GET {SPECS}/{{key}}", policy=SPECS_RULE + "get", min=SINCE)
def show_spec(call: Call, tx: Tx, group_type_id: str, key: str) -> dict[str, str | None]:
    """One spec."""
    found = group_types.get(tx, group_type_id)
    return {key: _value(found, key)}


@route(
    "group_specs.update",
    f"PUT {SPECS}/{{key}}",
    hop=WRITE,
    policy=SPECS_RULE + "update",
    body=Body(None, OnePair),
    min=SINCE,
)
def update_spec(
    call: Call, tx: Tx, group_type_id: str, key: str, body: dict[str, str | None]
) -> dict[str, str | None]:
    """Change one spec."""
    same_key(key, body)
    group_types.set_specs(tx, group_types.get(tx, group_type_id).id, body)
    return body


@route(
    "group_specs.delete",
    f"DELETE {SPECS}/{{key}}",
    hop=WRITE,
    status=202,
    policy=SPECS_RULE + "delete",
    min=SINCE,
)
def delete_spec(call: Call, tx: Tx, group_type_id: str, key: str) -> None:
    """Remove one spec."""
    found = group_types.get(tx, group_type_id)
    _value(found, key)
    group_types.set_specs(tx, found.id, {key: None}, remove=True)


def _value(kind: GroupType, key: str) -> str | None:
    if key not in kind.group_specs:
        raise NotFound(f"Group type {kind.id} has no group spec with key {key[:60]!r}")
    return kind.group_specs[key]

# SPDX-License-Identifier: Apache-2.0
"""The default types of projects (3.62): what a project's volumes get when nobody names a type."""

from __future__ import annotations

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.fields import Name
from breezeblock.api.route import WRITE, route
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.store import default_types, types
from breezeblock.store.transaction import Tx

RULE = "volume_extension:default_"
PATH = "/default-types/{target_project_id}"
SINCE = 62


class Wanted(msgspec.Struct):
    volume_type: Name


class DefaultType(msgspec.Struct, frozen=True):
    project_id: str
    volume_type_id: str


class One(msgspec.Struct, frozen=True):
    default_type: DefaultType


class All(msgspec.Struct, frozen=True):
    default_types: list[DefaultType]


@route("default_types.list", "GET /default-types", policy=RULE + "get_all", min=SINCE)
def index(call: Call, tx: Tx) -> All:
    """Every project's default type."""
    return All([DefaultType(project, kind) for project, kind in default_types.everyone(tx)])


@route("default_types.show", f"GET {PATH}", policy=RULE + "get", min=SINCE)
def show(call: Call, tx: Tx, target_project_id: str) -> One:
    """A project's default type."""
    found = default_types.get(tx, target_project_id)
    if found is None:
        raise NotFound(f"Project {target_project_id} has no default type of its own")
    return One(DefaultType(target_project_id, found))


@route(
    "default_types.set",
    f"PUT {PATH}",
    hop=WRITE,
    policy=RULE + "set_or_update",
    body=Body("default_type", Wanted),
    min=SINCE,
)
def put(call: Call, tx: Tx, target_project_id: str, body: Wanted) -> One:
    """Give a project a default type."""
    try:
        kind = types.get(tx, body.volume_type)
    except NotFound as error:
        raise BadRequest(str(error)) from None
    default_types.put(tx, target_project_id, kind.id)
    return One(DefaultType(target_project_id, kind.id))


@route("default_types.unset", f"DELETE {PATH}", hop=WRITE, status=204, policy=RULE + "unset", min=SINCE)
def unset(call: Call, tx: Tx, target_project_id: str) -> None:
    """Back to everybody's default type."""
    default_types.unset(tx, target_project_id)

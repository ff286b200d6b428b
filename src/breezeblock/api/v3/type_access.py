# SPDX-License-Identifier: Apache-2.0
"""Who may use a private type: the list, and the two actions that change it."""

from __future__ import annotations

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.fields import Name
from breezeblock.api.route import WRITE, route
from breezeblock.model.errors import NotFound
from breezeblock.store import type_access, types
from breezeblock.store.transaction import Tx

RULE = "volume_extension:volume_type_access:"
ACTION = "POST /types/{type_id}/action"


class Project(msgspec.Struct):
    project: Name


class Access(msgspec.Struct, frozen=True):
    volume_type_id: str
    project_id: str


class Answer(msgspec.Struct, frozen=True):
    volume_type_access: list[Access]


@route("type_access.list", "GET /types/{type_id}/os-volume-type-access", policy=RULE + "get_all_for_type")
def index(call: Call, tx: Tx, type_id: str) -> Answer:
    """The projects that may use a private type."""
    kind = types.get(tx, type_id)
    if kind.is_public:
        raise NotFound(f"Volume type {kind.id} is public: it has no list of projects")
    return Answer([Access(kind.id, project) for project in type_access.projects(tx, kind.id)])


@route(
    "types.action.addProjectAccess",
    ACTION,
    action="addProjectAccess",
    hop=WRITE,
    status=202,
    policy=RULE + "addProjectAccess",
    body=Project,
    errors=(409,),
)
def grant(call: Call, tx: Tx, type_id: str, body: Project) -> None:
    """Let a project use a private type."""
    type_access.grant(tx, types.get(tx, type_id), body.project)


@route(
    "types.action.removeProjectAccess",
    ACTION,
    action="removeProjectAccess",
    hop=WRITE,
    status=202,
    policy=RULE + "removeProjectAccess",
    body=Project,
)
def revoke(call: Call, tx: Tx, type_id: str, body: Project) -> None:
    """Let a project use a private type no longer."""
    type_access.revoke(tx, types.get(tx, type_id), body.project)

# SPDX-License-Identifier: Apache-2.0
"""Quota classes: the class "default" is what projects have that nobody changed."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api.body import Body
from breezeblock.api.call import Call
from breezeblock.api.route import WRITE, route
from breezeblock.api.v3.quota_sets import Wanted, limits_of, with_types
from breezeblock.model.errors import BadRequest
from breezeblock.store import quotas
from breezeblock.store.transaction import Tx

RULE = "volume_extension:quota_classes:"
PATH = "/os-quota-class-sets/{class}"
_LONGEST = 255


class Answer(msgspec.Struct, frozen=True):
    quota_class_set: dict[str, Any]


@route("quota_class_sets.show", f"GET {PATH}", policy=RULE + "get")
def show(call: Call, tx: Tx, class_name: str) -> Answer:
    """The limits of a class."""
    return Answer({"id": class_name, **with_types(tx, quotas.class_limits(tx, class_name))})


@route(
    "quota_class_sets.update",
    f"PUT {PATH}",
    hop=WRITE,
    policy=RULE + "update",
    body=Body("quota_class_set", Wanted),
)
def update(call: Call, tx: Tx, class_name: str, body: dict[str, Any]) -> Answer:
    """Change the limits of a class; those of "default" are everybody's."""
    if len(class_name) > _LONGEST:
        raise BadRequest("The name of the class is too long", needed=f"at most {_LONGEST} characters")
    wanted = limits_of(tx, {key: value for key, value in body.items() if key != "class_name"})
    if wanted:
        quotas.set_class_limits(tx, class_name, wanted)
    return Answer(with_types(tx, quotas.class_limits(tx, class_name)))

# SPDX-License-Identifier: Apache-2.0
"""What a create asks for that depends on the installation: a zone that exists, a source that this build can read. Refuses early, with the
reason; must never place anything."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api.fields import uuid_text
from breezeblock.api.truth import truth
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.store import pools
from breezeblock.store.transaction import Tx


class Hints(msgspec.Struct):
    """The scheduler hints that are known; others are free."""

    same_host: str | list[str] | None = None
    different_host: str | list[str] | None = None
    local_to_instance: str | None = None
    query: str | dict[str, Any] | None = None

    def __post_init__(self) -> None:
        uuid_text("local_to_instance", self.local_to_instance)
        for key, value in (("same_host", self.same_host), ("different_host", self.different_host)):
            named = [value] if isinstance(value, str) else value or []
            for one in named:
                uuid_text(key, one)
            if len(set(named)) != len(named):
                raise ValueError(f"{key} names a volume twice")


def check_hints(key: str, hints: dict[str, Any] | None) -> dict[str, Any]:
    """The hints as they are, when those that are known are well formed."""
    try:
        msgspec.convert(hints or {}, Hints)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for {key}: {error}") from None
    return hints or {}


def check_zone(tx: Tx, zone: str | None) -> str | None:
    """The zone, when a backend is in it."""
    if not zone:
        return None
    known = {backend.availability_zone for backend in pools.all_backends(tx)}
    if zone not in known:
        raise BadRequest(
            f"Invalid input received: Availability zone '{zone}' is invalid",
            needed=f"one of {', '.join(sorted(known)) or 'none: there is no backend yet'}",
            had=zone,
        )
    return zone


def refuse_unsupported(body: Any) -> None:
    """Sources and groups that a create can name."""
    sources = [
        name
        for name, value in (
            ("snapshot_id", body.snapshot_id),
            ("imageRef", body.image_ref or body.image_id),
            ("source_volid", body.source_volid),
            ("backup_id", body.backup_id),
        )
        if value
    ]
    if len(sources) > 1:
        raise BadRequest("Only one source may be named", needed="one source", had=", ".join(sources))
    if body.multiattach is not None and truth(body.multiattach):
        raise BadRequest(
            "multiattach cannot be asked for in a create",
            remedy="Use a volume type whose extra specs have multiattach '<is> True'.",
        )
    if body.image_ref or body.image_id:
        raise BadRequest(
            "Invalid image identifier: no image service is configured", had=body.image_ref or body.image_id
        )
    if body.backup_id:
        raise NotFound(f"Backup {body.backup_id} could not be found")
    if body.group_id or body.consistencygroup_id:
        raise NotFound(f"Group {body.group_id or body.consistencygroup_id} could not be found")

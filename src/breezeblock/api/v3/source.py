# SPDX-License-Identifier: Apache-2.0
"""What a create asks for that depends on the installation: a zone that exists, a source that this build can read. Refuses early, with the
reason; must never place anything."""

from __future__ import annotations

from typing import Any

from breezeblock.api.truth import truth
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.store import pools
from breezeblock.store.transaction import Tx


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

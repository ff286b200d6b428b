# SPDX-License-Identifier: Apache-2.0
"""Actions of an administrator on a volume: write a status, delete or detach by force."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api import outcome
from breezeblock.api.call import Call
from breezeblock.api.fields import Text255, same_uuid, uuid_text
from breezeblock.api.route import ASYNC, WRITE, route
from breezeblock.api.v3.volume_actions import ACTION
from breezeblock.model.errors import BadRequest
from breezeblock.model.status import ATTACH_STATUS_RESET, MIGRATION_STATUS_RESET, VOLUME, resettable
from breezeblock.operations.attachment import legacy
from breezeblock.operations.volume import edit
from breezeblock.operations.volume.delete import delete
from breezeblock.store import volumes
from breezeblock.store.transaction import Tx

RULE = "volume_extension:volume_admin_actions:"


class ResetStatus(msgspec.Struct):
    status: Text255 | None = None
    attach_status: Text255 | None = None
    migration_status: Text255 | None = None


class ForceDetach(msgspec.Struct):
    connector: dict[str, Any] | Text255 | None = None
    attachment_id: Text255 | None = None

    def __post_init__(self) -> None:
        uuid_text("attachment_id", self.attachment_id)


@route(
    "volumes.action.os-reset_status",
    ACTION,
    action="os-reset_status",
    hop=WRITE,
    status=202,
    policy=RULE + "reset_status",
    body=ResetStatus,
)
def reset_status(call: Call, tx: Tx, volume_id: str, body: ResetStatus) -> None:
    """Write status, attach status or migration status; a running operation loses."""
    status = _value("status", body.status, resettable(VOLUME))
    attach_status = _value("attach_status", body.attach_status, ATTACH_STATUS_RESET)
    migration_status = _value("migration_status", body.migration_status, MIGRATION_STATUS_RESET)
    if status is None and attach_status is None and migration_status is None:
        raise BadRequest("Nothing to reset", needed="one of status, attach_status, migration_status")
    volumes.get(tx, volume_id)
    edit.reset_status(
        tx, volume_id, status=status, attach_status=attach_status, migration_status=migration_status
    )


def _value(key: str, given: str | None, known: frozenset[str]) -> str | None:
    if not given:
        return None
    value = given.lower()
    if value not in known:
        raise BadRequest(
            f"Must specify a valid {key}", needed=f"one of {', '.join(sorted(known))}", had=repr(given[:40])
        )
    return value


@route(
    "volumes.action.os-force_delete",
    ACTION,
    action="os-force_delete",
    hop=WRITE,
    status=202,
    policy=(RULE + "force_delete", "volume:delete"),
)
def force_delete(call: Call, tx: Tx, volume_id: str) -> None:
    """Delete a volume whatever its status, as long as it is not attached."""
    call.operation_id = delete(tx, call.caller, volume_id, force=True)


@route(
    "volumes.action.os-force_detach",
    ACTION,
    action="os-force_detach",
    hop=ASYNC,
    status=202,
    policy=RULE + "force_detach",
    body=ForceDetach,
)
async def force_detach(call: Call, volume_id: str, body: ForceDetach) -> None:
    """End an attachment even while somebody holds the volume open."""
    wanted = same_uuid(body.attachment_id) if body.attachment_id else None
    operation = await call.services.store.write(
        lambda tx: legacy.force_detach(tx, call.caller, volume_id, wanted)
    )
    await outcome.wait(call, operation)

# SPDX-License-Identifier: Apache-2.0
"""The consumer says that it uses the volume: attached, in-use. One transaction."""

from __future__ import annotations

from breezeblock.model.errors import WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.store import attachments, volumes
from breezeblock.store.transaction import Tx


def complete(tx: Tx, caller: Caller, attachment_id: str) -> None:
    """Raises NotFound, WrongStatus (nothing is connected)."""
    attachment = attachments.get(tx, attachment_id, None if caller.is_admin else caller.project_id)
    if not attachment.connection_json:
        raise WrongStatus(
            f"Invalid attachment: {attachment_id} has no connection",
            needed="an attachment updated with a connector",
            had=f"attach status {attachment.attach_status}",
        )
    mark_attached(tx, attachment_id, attachment.volume_id)


def mark_attached(tx: Tx, attachment_id: str, volume_id: str) -> None:
    attachments.write(tx, attachment_id, attach_status="attached")
    volumes.begin(tx, volume_id, "attachment_complete", values={"attach_status": "attached"})

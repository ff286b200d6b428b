# SPDX-License-Identifier: Apache-2.0
"""What the owner of a resource reads when deferred work on it has failed: one user message. Must never decide how a verb ends."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Work
from breezeblock.store import messages
from breezeblock.store.transaction import Tx


def tell(
    tx: Tx,
    work: Work,
    error: dict[str, Any],
    verb: str,
    *,
    event_id: str,
    resource_id: str,
    resource_type: str = "VOLUME",
) -> None:
    """`verb` for people ("extend volume"); `event_id` is the contract's code for what was tried and why it failed."""
    messages.tell(
        tx,
        project_id=work.project_id,
        request_id=None,
        resource_type=resource_type,
        resource_id=resource_id,
        event_id=event_id,
        text=f"{verb}: {error.get('message')} {error.get('remedy', '')}",
    )

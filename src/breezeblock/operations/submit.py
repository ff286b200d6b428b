# SPDX-License-Identifier: Apache-2.0
"""How a verb becomes a durable operation: one row in the transaction that also moves the status and charges the quota. Also the queue
names, in one place."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from breezeblock.flow.task import Flow
from breezeblock.model.errors import Pinned
from breezeblock.model.identity import Caller
from breezeblock.model.volume import Volume
from breezeblock.store import keys as key_rows
from breezeblock.store import operations as operation_rows
from breezeblock.store import pools as pool_rows
from breezeblock.store.operations import BULK, INTERACTIVE, NewOperation
from breezeblock.store.transaction import Tx

SCHEDULER = "scheduler"
__all__ = [
    "BULK",
    "INTERACTIVE",
    "SCHEDULER",
    "agent_queue",
    "backend_queue",
    "new_id",
    "refuse_pinned",
    "submit",
    "submit_holding",
    "volume_key",
]


def agent_queue(host: str) -> str:
    return f"host/{host}"


def backend_queue(tx: Tx, backend_id: str) -> str:
    row = pool_rows.backend(tx, backend_id)
    return row.queue if row is not None else f"backend/{backend_id}"


def volume_key(id: str) -> str:
    """Who holds it exclusively may change the volume's object on the backend, its export or its size."""
    return f"volume/{id}"


def new_id() -> str:
    return str(uuid.uuid4())


def submit(
    tx: Tx,
    flow: Flow,
    caller: Caller,
    *,
    id: str,
    resource_type: str,
    resource_id: str,
    project_id: str,
    queue: str,
    args: Mapping[str, Any],
    keys: Mapping[str, bool] | None = None,
    lane: int = BULK,
) -> str:
    """Write the operation `id` of a flow. It is claimed after this transaction commits."""
    return operation_rows.submit(
        tx,
        NewOperation(
            id=id,
            kind=flow.kind,
            resource_type=resource_type,
            resource_id=resource_id,
            project_id=project_id,
            user_id=caller.user_id,
            request_id=caller.request_id,
            queue=queue,
            tasks=flow.names(),
            pivot=flow.pivot,
            args=args,
            keys=keys or {},
            lane=lane,
        ),
    )


def submit_holding(
    tx: Tx,
    flow: Flow,
    caller: Caller,
    volume: Volume,
    args: Mapping[str, Any],
    *,
    id: str,
    queue: str,
    about: tuple[str, str] | None = None,
    lane: int = BULK,
) -> str:
    """As submit, for a verb that changes a volume's object, its export or its size: it waits for the volume's key and holds it to its end.
    `about`: what the operation is shown with (type, id) when that is not the volume."""
    resource_type, resource_id = about or ("volume", volume.id)
    return submit(
        tx,
        flow,
        caller,
        id=id,
        resource_type=resource_type,
        resource_id=resource_id,
        project_id=volume.project_id,
        queue=queue,
        args=args,
        keys={volume_key(volume.id): True},
        lane=lane,
    )


def refuse_pinned(tx: Tx, kind: str, id: str) -> None:
    """Raises Pinned while an operation reads the object. Call it after the compare-and-swap, in its transaction."""
    operation = key_rows.pinned_by(tx, f"{kind}/{id}")
    if operation is not None:
        raise Pinned(
            f"Invalid {kind}: {kind} {id} is the source of a running operation",
            needed="no operation that reads it",
            had=f"operation {operation}",
            operation=operation,
        )

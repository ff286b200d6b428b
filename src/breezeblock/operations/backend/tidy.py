# SPDX-License-Identifier: Apache-2.0
"""Tidy a backend: what deletes left for later (layers that nobody needs by themselves) is reclaimed.

    sweep     Effect  backend

Submitted periodically; the key keeps a second one from running beside it."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Effect, Flow, Work
from breezeblock.model.identity import Caller
from breezeblock.operations.ports import backend
from breezeblock.operations.submit import backend_queue, new_id, submit
from breezeblock.store import history
from breezeblock.store.transaction import Tx


def tidy(tx: Tx, backend_id: str) -> str | None:
    """The operation; None when one has not finished yet."""
    if history.running_of(tx, FLOW.kind, backend_id):
        return None
    operation, queue = new_id(), backend_queue(tx, backend_id)
    submit(
        tx,
        FLOW,
        Caller(user_id="", project_id="", is_admin=True),
        id=operation,
        resource_type="backend",
        resource_id=backend_id,
        project_id="",
        queue=queue,
        args={"backend_id": backend_id, "queue": queue},
        keys={f"tidy/{backend_id}": True},
    )
    return operation


def _sweep(work: Work, intent: Any) -> Any:
    return {"reclaimed": backend(work.ports, work.args["backend_id"]).driver.tidy({}, work.call)}


FLOW = Flow(kind="backend.tidy", tasks=(Effect("sweep", _sweep, queue=lambda work: str(work.args["queue"])),))

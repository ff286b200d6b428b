# SPDX-License-Identifier: Apache-2.0
"""Every verb that is a durable operation, by kind. The engine drives what is listed here; start-up refuses when an unfinished operation
names a task that is gone."""

from __future__ import annotations

from collections.abc import Iterable

from breezeblock.flow.task import Flow, registry
from breezeblock.operations.attachment import connect as attachment_connect
from breezeblock.operations.attachment import delete as attachment_delete
from breezeblock.operations.backend import debt, tidy
from breezeblock.operations.host import attach as host_attach
from breezeblock.operations.host import detach as host_detach
from breezeblock.operations.host import reconnect as host_reconnect
from breezeblock.operations.snapshot import create as snapshot_create
from breezeblock.operations.snapshot import delete as snapshot_delete
from breezeblock.operations.volume import create as volume_create
from breezeblock.operations.volume import delete as volume_delete
from breezeblock.operations.volume import extend as volume_extend
from breezeblock.operations.volume import revert as volume_revert

FLOWS: dict[str, Flow] = registry(
    [
        volume_create.FLOW,
        volume_delete.FLOW,
        volume_extend.FLOW,
        volume_revert.FLOW,
        snapshot_create.FLOW,
        snapshot_delete.FLOW,
        attachment_connect.FLOW,
        attachment_delete.FLOW,
        host_attach.FLOW,
        host_detach.FLOW,
        host_reconnect.FLOW,
        tidy.FLOW,
        debt.FLOW,
    ]
)


def unknown_tasks(unfinished: Iterable[tuple[str, list[str]]]) -> list[str]:
    """What unfinished operations need and this version does not have; empty when all can be finished."""
    missing: list[str] = []
    for kind, tasks in unfinished:
        flow = FLOWS.get(kind)
        known = set(flow.names()) if flow else set()
        missing += [f"{kind}:{task}" for task in tasks if task not in known]
    return missing

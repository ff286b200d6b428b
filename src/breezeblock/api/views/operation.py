# SPDX-License-Identifier: Apache-2.0
"""An operation as the extension shows it: where it is, how far, who holds it, and its timeline with secrets taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from breezeblock.api.call import Call
from breezeblock.api.views.links import Link
from breezeblock.model.operation import Operation, TimelineEntry

#: Keys whose values are never shown, whatever is journalled under them.
_SECRET = ("password", "secret", "token", "key", "chap", "sealed")
_HIDDEN = "***"


class ProgressShown(msgspec.Struct, frozen=True):
    done: int
    total: int
    unit: str


class StepShown(msgspec.Struct, frozen=True):
    task: str
    round: int
    state: str
    at: str
    seconds: float | None
    detail: str
    data: dict[str, Any] | None


class OperationShown(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    resource_type: str
    resource_id: str
    project_id: str
    request_id: str
    state: str
    queue: str
    lane: str
    task: str | None
    tasks: list[str]
    pivot: str | None
    attempt: int
    round: int
    progress: ProgressShown | None
    error: dict[str, Any] | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    held_by: str | None
    waits_for: str | None
    timeline: list[StepShown] | UnsetType = UNSET


class OneOperation(msgspec.Struct, frozen=True):
    operation: OperationShown


class OperationList(msgspec.Struct, frozen=True):
    operations: list[OperationShown]
    operations_links: list[Link] | UnsetType = UNSET


def shown(call: Call, operation: Operation, *, timeline: bool = False) -> OperationShown:
    """Queue, holder and the journalled data are for administrators; the rest is for whoever owns the resource."""
    admin = call.caller.is_admin
    progress = operation.progress
    return OperationShown(
        id=operation.id,
        kind=operation.kind,
        resource_type=operation.resource_type,
        resource_id=operation.resource_id,
        project_id=operation.project_id,
        request_id=operation.request_id,
        state=operation.state,
        queue=operation.queue if admin else "",
        lane=operation.lane,
        task=operation.task,
        tasks=list(operation.tasks),
        pivot=operation.pivot,
        attempt=operation.attempt,
        round=operation.round,
        progress=None if progress is None else ProgressShown(progress.done, progress.total, progress.unit),
        error=operation.error,
        created_at=operation.created_at,
        started_at=operation.started_at,
        finished_at=operation.finished_at,
        held_by=operation.held_by if admin else None,
        waits_for=operation.waits_for,
        timeline=[_step(entry, admin) for entry in operation.timeline] if timeline else UNSET,
    )


def all_shown(call: Call, operations: Iterable[Operation]) -> list[OperationShown]:
    return [shown(call, operation) for operation in operations]


def _step(entry: TimelineEntry, admin: bool) -> StepShown:
    return StepShown(
        task=entry.task,
        round=entry.round,
        state=entry.state,
        at=entry.at,
        seconds=entry.seconds,
        detail=_detail(entry),
        data=redacted(entry.data) if admin else None,
    )


def _detail(entry: TimelineEntry) -> str:
    parts = [f"attempt {entry.attempt}"] if entry.attempt > 1 else []
    result = entry.data.get("result")
    if entry.state == "failed" and isinstance(result, Mapping) and "message" in result:
        parts.append(str(result["message"]))
    return "; ".join(parts)


def redacted(value: Any) -> Any:
    """The same data with the values of secret keys taken out."""
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN
            if one is not None and any(word in str(key).lower() for word in _SECRET)
            else redacted(one)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    return value

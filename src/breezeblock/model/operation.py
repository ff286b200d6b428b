# SPDX-License-Identifier: Apache-2.0
"""An operation as people see it: what runs, how far it is, who holds it, and its timeline. Read-only; the engine has its own rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class OperationProgress(msgspec.Struct, frozen=True):
    done: int
    total: int
    unit: str = "bytes"


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One task of one round: its newest step (intent, done, undone, failed). `data` holds intent and result, which never hold a secret."""

    task: str
    round: int
    state: str
    at: str
    started_at: str
    seconds: float | None
    attempt: int
    data: dict[str, Any]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: ready, blocked, running, waiting, undoing, succeeded, failed or cancelled."""

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
    tasks: Sequence[str]
    pivot: str | None
    attempt: int
    round: int
    progress: OperationProgress | None
    error: dict[str, Any] | None
    failures: Sequence[dict[str, Any]]
    created_at: str
    started_at: str | None
    finished_at: str | None = None
    held_by: str | None = None
    waits_for: str | None = None
    timeline: Sequence[TimelineEntry] = ()

    @property
    def ended(self) -> bool:
        return self.state in ("succeeded", "failed", "cancelled")

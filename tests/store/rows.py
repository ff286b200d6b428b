# SPDX-License-Identifier: Apache-2.0
"""Rows that store tests begin with, with as little said as the test needs."""

from __future__ import annotations

import uuid
from typing import Any

from breezeblock.store import operations, snapshots, volumes
from breezeblock.store.operations import NewOperation
from breezeblock.store.transaction import Tx


class Bells:
    """What was rung after commits, in order."""

    def __init__(self) -> None:
        self.rung: list[frozenset[str]] = []

    def ring(self, queues: frozenset[str]) -> None:
        self.rung.append(queues)

    def names(self) -> set[str]:
        return set().union(*self.rung)


def volume(tx: Tx, **values: Any) -> str:
    id = str(values.pop("id", None) or uuid.uuid4())
    volumes.create(
        tx, {"id": id, "project_id": "p", "user_id": "u", "size": 1, "status": "available", **values}
    )
    return id


def snapshot(tx: Tx, volume_id: str, **values: Any) -> str:
    id = str(uuid.uuid4())
    given = {
        "id": id,
        "volume_id": volume_id,
        "project_id": "p",
        "user_id": "u",
        "size": 1,
        "status": "available",
    }
    snapshots.create(tx, given | values)
    return id


def operation(tx: Tx, **values: Any) -> str:
    given: dict[str, Any] = {
        "kind": "volume.create",
        "resource_type": "volume",
        "resource_id": str(uuid.uuid4()),
        "project_id": "p",
        "user_id": "u",
        "request_id": "req-1",
        "queue": "q",
        "tasks": ["one", "two"],
    }
    return operations.submit(tx, NewOperation(**(given | values)))

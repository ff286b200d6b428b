# SPDX-License-Identifier: Apache-2.0
"""Revert a volume to its newest snapshot.

rewind    Effect  backend  pivot: the volume's content becomes the snapshot's
settle    Change           both rest again"""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.drivers.driver import Kind
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import BadRequest, Conflict
from breezeblock.model.identity import Caller
from breezeblock.model.status import SNAPSHOT_MOVES, VOLUME_MOVES
from breezeblock.model.units import GiB
from breezeblock.operations.failure import tell
from breezeblock.operations.ports import backend, object_of
from breezeblock.operations.submit import backend_queue, new_id, submit_holding
from breezeblock.store import snapshots, volumes
from breezeblock.store.transaction import Tx


def revert(tx: Tx, caller: Caller, volume_id: str, snapshot_id: str | None) -> str:
    """Returns the operation's id. Raises NotFound, BadRequest (not the newest snapshot, sizes differ), Conflict (status)."""
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, volume_id, project)
    children = snapshots.of_volume(tx, volume_id)
    if snapshot_id is None or not children or children[-1].id != snapshot_id:
        newest = children[-1].id if children else "none"
        raise BadRequest(
            f"Invalid input received: Specified snapshot {snapshot_id} is not the latest one of volume {volume_id}",
            needed=newest,
            had=snapshot_id,
        )
    snapshot = children[-1]
    if snapshot.size != volume.size:
        raise BadRequest(
            f"Invalid input received: volume {volume_id} was extended after snapshot {snapshot_id} was taken",
            needed=f"{snapshot.size} GiB",
            had=f"{volume.size} GiB",
        )
    operation = new_id()
    if not volumes.begin(tx, volume_id, "revert", project_id=project, operation_id=operation):
        raise Conflict(str(volumes.refuse(volume, "revert")))
    if not snapshots.begin(tx, snapshot.id, "revert", operation_id=operation):
        raise Conflict(str(snapshots.refuse(snapshot, "revert")))
    args: dict[str, Any] = {
        "volume_id": volume_id,
        "snapshot_id": snapshot.id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, str(volume.backend_id)),
        "size": volume.size * GiB,
        "object": volume.object_json,
        "snapshot_object": snapshot.object_json,
    }
    submit_holding(tx, FLOW, caller, volume, args, id=operation, queue=args["queue"])
    return operation


def _rewind(work: Work, intent: Any) -> Any:
    args = work.args
    driver = backend(work.ports, args["backend_id"]).driver
    volume = object_of(driver, args["volume_id"], Kind.VOLUME, args["object"], args["size"])
    snapshot = object_of(
        driver, args["snapshot_id"], Kind.SNAPSHOT, args["snapshot_object"], args["size"], args["volume_id"]
    )
    return msgspec.to_builtins(driver.revert(volume, snapshot, work.call))


def _settle(tx: Tx, work: Work) -> None:
    volumes.settle(
        tx,
        work.args["volume_id"],
        VOLUME_MOVES["revert"].done,
        object=msgspec.json.encode(work.results["rewind"]).decode(),
    )
    snapshots.settle(tx, work.args["snapshot_id"], SNAPSHOT_MOVES["revert"].done)


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    volumes.settle(tx, work.args["volume_id"], VOLUME_MOVES["revert"].undone)
    snapshots.settle(tx, work.args["snapshot_id"], SNAPSHOT_MOVES["revert"].undone)


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    volumes.settle(tx, work.args["volume_id"], VOLUME_MOVES["revert"].failed)
    snapshots.settle(tx, work.args["snapshot_id"], SNAPSHOT_MOVES["revert"].failed)
    tell(
        tx, work, error, "revert volume", event_id="VOLUME_VOLUME_001_001", resource_id=work.args["volume_id"]
    )


FLOW = Flow(
    kind="volume.revert",
    tasks=(Effect("rewind", _rewind, queue=lambda work: str(work.args["queue"])), Change("settle", _settle)),
    pivot="rewind",
    undone=_undone,
    stuck=_stuck,
)

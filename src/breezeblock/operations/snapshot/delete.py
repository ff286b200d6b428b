# SPDX-License-Identifier: Apache-2.0
"""Delete a snapshot, in any order.

remove    Effect  backend  pivot: the name goes; what nothing else needs goes with it
forget    Change           row and charge go
fold      Effect  backend  an attached volume's chain is shortened through the process that holds it; what fails here is tidied later"""

from __future__ import annotations

from typing import Any

from breezeblock.drivers.driver import Kind
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import Busy, Failed
from breezeblock.model.identity import Caller
from breezeblock.model.status import SNAPSHOT, SNAPSHOT_MOVES, at_rest
from breezeblock.model.units import GiB
from breezeblock.operations.failure import tell
from breezeblock.operations.ports import backend, live_port, object_of
from breezeblock.operations.submit import backend_queue, new_id, refuse_pinned, submit_holding
from breezeblock.store import attachments, quotas, snapshots, volumes
from breezeblock.store.transaction import Tx


def delete(tx: Tx, caller: Caller, snapshot_id: str, *, force: bool = False) -> str | None:
    """The operation's id; None when it is already gone. Raises NotFound, WrongStatus, Pinned."""
    project = None if caller.is_admin else caller.project_id
    snapshot = snapshots.get(tx, snapshot_id, project)
    operation = new_id()
    if not snapshots.begin(
        tx, snapshot_id, "delete", project_id=project, operation_id=operation, force=force
    ):
        raise snapshots.refuse(snapshot, "delete")
    refuse_pinned(tx, "snapshot", snapshot_id)
    volume = volumes.get(tx, snapshot.volume_id)
    if volume.backend_id is None:
        quotas.discharge(tx, snapshot_id)
        snapshots.remove(tx, snapshot_id)
        return None
    args: dict[str, Any] = {
        "snapshot_id": snapshot_id,
        "volume_id": volume.id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, volume.backend_id),
        "size": snapshot.size * GiB,
        "object": snapshot.object_json,
        "before": at_rest(SNAPSHOT, snapshot.status),
    }
    submit_holding(
        tx, FLOW, caller, volume, args, id=operation, queue=args["queue"], about=("snapshot", snapshot_id)
    )
    return operation


def _remove(work: Work, intent: Any) -> None:
    driver = backend(work.ports, work.args["backend_id"]).driver
    obj = object_of(
        driver,
        work.args["snapshot_id"],
        Kind.SNAPSHOT,
        work.args["object"],
        work.args["size"],
        work.args["volume_id"],
    )
    driver.delete(obj, work.call)


def _forget(tx: Tx, work: Work) -> None:
    quotas.discharge(tx, work.args["snapshot_id"])
    snapshots.remove(tx, work.args["snapshot_id"])


def _fold(work: Work, intent: Any) -> Any:
    id = work.args["volume_id"]
    home = backend(work.ports, work.args["backend_id"])
    live = live_port(home, work.ports.read(lambda tx: attachments.export_of(tx, id)))
    if live is None:
        return None
    try:
        return {"folded": home.driver.tidy({id: live}, work.call)}
    except Failed as error:
        return {"later": str(error)}


def _queue(work: Work) -> str:
    return str(work.args["queue"])


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    if snapshots.find(tx, work.args["snapshot_id"]) is not None:
        snapshots.settle(tx, work.args["snapshot_id"], work.args["before"])


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    if snapshots.find(tx, work.args["snapshot_id"]) is None:
        return  # it is gone; only the folding failed
    busy = error.get("code") == Busy.code
    snapshots.settle(tx, work.args["snapshot_id"], "available" if busy else SNAPSHOT_MOVES["delete"].failed)
    tell(
        tx,
        work,
        error,
        "delete snapshot",
        event_id="VOLUME_VOLUME_SNAPSHOT_013_006",
        resource_id=work.args["snapshot_id"],
        resource_type="VOLUME_SNAPSHOT",
    )


FLOW = Flow(
    kind="snapshot.delete",
    tasks=(
        Effect("remove", _remove, queue=_queue),
        Change("forget", _forget),
        Effect("fold", _fold, queue=_queue),
    ),
    pivot="remove",
    undone=_undone,
    stuck=_stuck,
)

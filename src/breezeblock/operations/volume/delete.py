# SPDX-License-Identifier: Apache-2.0
"""Delete a volume, with its snapshots when asked (cascade).

    remove    Effect  backend  pivot: snapshots first, then the volume's object; absent is success
    forget    Change           rows and charges go

A backend that says Busy leaves everything as it was (status back to available, with a message); another failure after the pivot ends in
`error_deleting`; a cancel before it leaves the status that was. A volume that was never placed is gone with the request."""

from __future__ import annotations

from typing import Any

from breezeblock.drivers.driver import Kind
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import Busy, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.model.status import SNAPSHOT, SNAPSHOT_MOVES, VOLUME, VOLUME_MOVES, at_rest
from breezeblock.model.units import GiB
from breezeblock.model.volume import Volume
from breezeblock.operations.failure import tell
from breezeblock.operations.fence_off import fence_off
from breezeblock.operations.ports import backend, object_of
from breezeblock.operations.submit import backend_queue, new_id, refuse_pinned, submit_holding
from breezeblock.store import history, pools, quotas, snapshots, volumes
from breezeblock.store.transaction import Tx


def delete(
    tx: Tx, caller: Caller, volume_id: str, *, cascade: bool = False, force: bool = False
) -> str | None:
    """The operation's id; None when the volume is already gone. Raises NotFound, WrongStatus, Pinned."""
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, volume_id, project)
    if force:
        _end_holder(tx, volume)
    children = snapshots.of_volume(tx, volume_id)
    kept = [child.id for child in children if child.project_id != volume.project_id]
    if cascade and kept and project is not None:  # a transfer left them with the project that had the volume
        raise WrongStatus(
            f"Invalid volume: snapshots of volume {volume_id} belong to another project",
            needed="no snapshot of another project",
            had=", ".join(kept[:3]),
            remedy="That project deletes them, or an administrator deletes the volume with them.",
        )
    operation = new_id()
    conditions = [volumes.mig_free(), volumes.detached(), volumes.not_exported()]
    if not cascade:
        conditions.append(volumes.no_snapshots())
    if not volumes.begin(
        tx, volume_id, "delete", project_id=project, operation_id=operation, force=force, where=conditions
    ):
        raise _refused(volume, len(children), cascade)
    refuse_pinned(tx, "volume", volume_id)
    for child in children:
        if not snapshots.begin(tx, child.id, "delete", operation_id=operation, force=force):
            raise snapshots.refuse(child, "delete")
        refuse_pinned(tx, "snapshot", child.id)
    if volume.backend_id is None:
        _forget_rows(tx, volume_id, [child.id for child in children])
        return None
    args: dict[str, Any] = {
        "volume_id": volume_id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, volume.backend_id),
        "size": volume.size * GiB,
        "object": volume.object_json,
        "before": at_rest(VOLUME, volume.status),
        "snapshots": [
            {
                "id": c.id,
                "object": c.object_json,
                "size": c.size * GiB,
                "before": at_rest(SNAPSHOT, c.status),
            }
            for c in reversed(children)
        ],
    }
    submit_holding(tx, FLOW, caller, volume, args, id=operation, queue=args["queue"])
    return operation


def _end_holder(tx: Tx, volume: Volume) -> None:
    """A forced delete takes the volume from the operation that holds it: that one is ended (its owner is fenced off), and what it made
    is found by name and removed by this delete. An operation on another host's devices is not ended but named."""
    if volume.operation_id is None:
        return
    holder = history.find_running(tx, volume.operation_id)
    if holder is None:
        return
    if not holder.startswith("volume."):
        raise WrongStatus(
            f"Invalid volume: operation {volume.operation_id} ({holder}) is at work on volume {volume.id}",
            needed="no running attach or detach",
            had=holder,
            remedy="Cancel that operation first.",
        )
    fence_off(tx, volume.operation_id, "a forced delete")


def _refused(volume: Volume, children: int, cascade: bool) -> WrongStatus:
    error = volumes.refuse(volume, "delete")
    if children and not cascade:
        error.message = f"Invalid volume: Volume {volume.id} still has {children} dependent snapshots"
        error.remedy = "Delete the snapshots first, or delete with cascade."
    return error


# -- tasks -------------------------------------------------------------------------------------------------------------------------


def _remove(work: Work, intent: Any) -> None:
    args = work.args
    driver = backend(work.ports, args["backend_id"]).driver
    removed: list[str] = []
    try:
        for child in args["snapshots"]:
            work.call.check()
            driver.delete(
                object_of(
                    driver, child["id"], Kind.SNAPSHOT, child["object"], child["size"], args["volume_id"]
                ),
                work.call,
            )
            removed.append(child["id"])
        driver.delete(
            object_of(driver, args["volume_id"], Kind.VOLUME, args["object"], args["size"]), work.call
        )
    except Busy as error:
        error.facts["removed"] = ",".join(removed)
        raise


def _forget(tx: Tx, work: Work) -> None:
    _forget_rows(tx, work.args["volume_id"], [child["id"] for child in work.args["snapshots"]])


def _forget_rows(tx: Tx, volume_id: str, children: list[str]) -> None:
    for child in children:
        quotas.discharge(tx, child)
        snapshots.remove(tx, child)
    quotas.discharge(tx, volume_id)
    pools.forget(tx, volume_id)
    volumes.remove(tx, volume_id)


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    volumes.settle(tx, work.args["volume_id"], work.args["before"])
    for child in _children(tx, work):
        snapshots.settle(tx, child["id"], child["before"])


def _children(tx: Tx, work: Work) -> list[dict[str, Any]]:
    """Those that no delete of their own has taken meanwhile."""
    return [c for c in work.args["snapshots"] if snapshots.find(tx, c["id"]) is not None]


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    busy = error.get("code") == Busy.code
    for id in filter(None, str(error.get("facts", {}).get("removed", "")).split(",")):
        quotas.discharge(tx, id)  # gone before something else was found busy: no row may say that it is there
        snapshots.remove(tx, id)
    volumes.settle(tx, work.args["volume_id"], "available" if busy else VOLUME_MOVES["delete"].failed)
    for child in _children(tx, work):
        snapshots.settle(tx, child["id"], "available" if busy else SNAPSHOT_MOVES["delete"].failed)
    tell(
        tx, work, error, "delete volume", event_id="VOLUME_VOLUME_010_006", resource_id=work.args["volume_id"]
    )


FLOW = Flow(
    kind="volume.delete",
    tasks=(Effect("remove", _remove, queue=lambda work: str(work.args["queue"])), Change("forget", _forget)),
    pivot="remove",
    undone=_undone,
    stuck=_stuck,
)

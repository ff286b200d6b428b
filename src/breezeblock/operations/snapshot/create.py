# SPDX-License-Identifier: Apache-2.0
"""Take a snapshot of a volume, attached or not.

take      Effect  backend  the point in time (undo: delete it); an attached volume's writer is switched without stopping
publish   Change           the row becomes available"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.drivers.driver import Kind
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import Cancelled
from breezeblock.model.identity import Caller
from breezeblock.model.observation import Observation
from breezeblock.model.snapshot import Snapshot
from breezeblock.model.status import SNAPSHOT_MOVES
from breezeblock.model.units import GiB
from breezeblock.operations.failure import tell
from breezeblock.operations.ports import backend, encode, live_port, object_of
from breezeblock.operations.submit import backend_queue, new_id, submit_holding
from breezeblock.store import attachments, quotas, snapshots, types, volumes
from breezeblock.store.transaction import Tx


class CreateSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`in_use_allowed`: the caller forced it, or speaks a microversion that needs no force."""

    volume_id: str
    name: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = {}
    in_use_allowed: bool = False


def create(tx: Tx, caller: Caller, wanted: CreateSnapshot) -> tuple[Snapshot, str]:
    """The snapshot and the operation's id. Raises NotFound, WrongStatus, OverQuota."""
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, wanted.volume_id, project)
    operation, id = new_id(), new_id()
    placed = volume.backend_id is not None
    if not placed or not volumes.allows(
        tx, volume.id, "snapshot", force=wanted.in_use_allowed, where=[volumes.mig_free()]
    ):
        raise volumes.refuse(volume, "snapshot")
    kind = types.get(tx, volume.volume_type_id) if volume.volume_type_id else types.default(tx)
    quotas.charge(tx, volume.project_id, id, charges(kind.name, volume.size))
    snapshots.create(
        tx,
        {
            "id": id,
            "volume_id": volume.id,
            "project_id": volume.project_id,
            "user_id": caller.user_id,
            "name": wanted.name,
            "description": wanted.description,
            "size": volume.size,
            "status": SNAPSHOT_MOVES["create"].to,
            "volume_type_id": volume.volume_type_id,
            "metadata": encode(dict(wanted.metadata)),
            "operation_id": operation,
        },
    )
    args: dict[str, Any] = {
        "snapshot_id": id,
        "volume_id": volume.id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, str(volume.backend_id)),
        "size": volume.size * GiB,
    }
    submit_holding(tx, FLOW, caller, volume, args, id=operation, queue=args["queue"], about=("snapshot", id))
    return snapshots.get(tx, id), operation


def charges(type_name: str, size: int) -> dict[str, int]:
    """What a snapshot of a volume of `size` GiB costs."""
    return {"snapshots": 1, "gigabytes": size, f"snapshots_{type_name}": 1, f"gigabytes_{type_name}": size}


# -- tasks -------------------------------------------------------------------------------------------------------------------------


def _observe(work: Work, intent: Any) -> Observation[Any]:
    driver = backend(work.ports, work.args["backend_id"]).driver
    seen = driver.find(driver.name(work.args["snapshot_id"], Kind.SNAPSHOT))
    return Observation(
        seen.found, None if seen.value is None else msgspec.to_builtins(seen.value), seen.detail
    )


def _take(work: Work, intent: Any) -> Any:
    id = work.args["volume_id"]
    volume, exported = work.ports.read(lambda tx: (volumes.get(tx, id), attachments.export_of(tx, id)))
    home = backend(work.ports, work.args["backend_id"])
    live = live_port(home, exported)
    obj = object_of(home.driver, volume.id, Kind.VOLUME, volume.object_json, volume.size * GiB)
    taken = home.driver.snapshot(
        [(obj, work.args["snapshot_id"])], {} if live is None else {volume.id: live}, work.call
    )
    return msgspec.to_builtins(taken[0])


def _drop(work: Work, intent: Any, result: Any) -> None:
    driver = backend(work.ports, work.args["backend_id"]).driver
    driver.delete(
        object_of(
            driver, work.args["snapshot_id"], Kind.SNAPSHOT, "", work.args["size"], work.args["volume_id"]
        ),
        work.call,
    )


def _publish(tx: Tx, work: Work) -> None:
    snapshots.settle(
        tx,
        work.args["snapshot_id"],
        SNAPSHOT_MOVES["create"].done,
        object=encode(work.results["take"]),
        progress="100%",
    )


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    snapshots.settle(tx, work.args["snapshot_id"], SNAPSHOT_MOVES["create"].undone)
    if error.get("code") != Cancelled.code:
        tell(
            tx,
            work,
            error,
            "create snapshot",
            event_id="VOLUME_VOLUME_SNAPSHOT_009_001",
            resource_id=work.args["snapshot_id"],
            resource_type="VOLUME_SNAPSHOT",
        )


FLOW = Flow(
    kind="snapshot.create",
    tasks=(
        Effect("take", _take, observe=_observe, undo=_drop, queue=lambda work: str(work.args["queue"])),
        Change("publish", _publish),
    ),
    undone=_undone,
)

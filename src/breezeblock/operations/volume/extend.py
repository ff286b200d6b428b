# SPDX-License-Identifier: Apache-2.0
"""Extend a volume, attached or not.

    room      Change  scheduler  the volume's own pool must have room for the difference; reserve it
    grow      Effect  backend    pivot: the object grows (an attached one through the process that holds it)
    tell      Effect  backend    whoever uses the export learns the new size
follow    Effect  host       the agent's device grows; a failure here or in tell is a finding, not a failed extend
    settle    Change             size and charge become the new ones

The difference is charged when the request is accepted and folded in or taken back with the row. Nothing shrinks, so there is no undo
of `grow`: a failure there ends in `error_extending`."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.drivers.driver import Kind
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import BadSize, Error, Lost, NoBackend, Unsupported, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.model.observation import Found, Observation
from breezeblock.model.status import BY_ATTACHMENTS, VOLUME_MOVES
from breezeblock.model.units import GiB
from breezeblock.model.volume import Volume
from breezeblock.operations.failure import tell
from breezeblock.operations.placement import place, settle
from breezeblock.operations.ports import Exported, backend, live_port, object_of
from breezeblock.operations.submit import SCHEDULER, agent_queue, backend_queue, new_id, submit_holding
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.store import attachments, messages, pools, quotas, types, volumes
from breezeblock.store.quotas import EXTENSION
from breezeblock.store.transaction import Tx


def extend(tx: Tx, caller: Caller, volume_id: str, new_size: int, *, attached_allowed: bool) -> str:
    """`new_size` in GiB. Returns the operation's id. Raises NotFound, BadSize, WrongStatus, OverQuota."""
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, volume_id, project)
    verb = "extend_attached" if attached_allowed and volume.status == "in-use" else "extend"
    operation = new_id()
    if not volumes.begin(tx, volume_id, verb, project_id=project, operation_id=operation):
        raise volumes.refuse(volume, verb)
    if new_size <= volume.size:
        raise BadSize(
            f"Invalid input received: New size for extend must be greater than current size. "
            f"(current: {volume.size}, extended: {new_size})",
            needed=f"more than {volume.size} GiB",
            had=f"{new_size} GiB",
        )
    if volume.backend_id is None:
        raise WrongStatus(
            f"Invalid volume: volume {volume_id} was never placed", needed="a volume on a backend", had="none"
        )
    row = pools.backend(tx, volume.backend_id)
    if verb == "extend_attached" and row is not None:
        _refuse_growing_in_use(tx, volume, row)
    kind = types.get(tx, volume.volume_type_id) if volume.volume_type_id else types.default(tx)
    more = new_size - volume.size
    bound = kind.extra_specs.get("provisioning:max_vol_size")
    if bound and bound.isdigit() and new_size > int(bound):
        raise BadSize(
            f"Invalid input received: type {kind.name} allows at most {bound} GiB",
            needed=f"at most {bound} GiB",
            had=new_size,
        )
    quotas.charge(
        tx,
        volume.project_id,
        volume_id,
        {"gigabytes": more, f"gigabytes_{kind.name}": more},
        reason=EXTENSION,
        size=new_size,
    )
    args: dict[str, Any] = {
        "volume_id": volume_id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, volume.backend_id),
        "host": volume.host,
        "old_size": volume.size * GiB,
        "size": new_size * GiB,
        "type": kind.name,
        "extra_specs": kind.extra_specs,
        "attached": verb == "extend_attached",
    }
    agent = next(
        (a for a in attachments.of_volume(tx, volume_id) if a.agent_host and a.connection_json), None
    )
    if agent is not None:
        args |= {"attachment_id": agent.id, "host_queue": agent_queue(str(agent.agent_host))}
    submit_holding(tx, FLOW, caller, volume, args, id=operation, queue=SCHEDULER)
    return operation


def _refuse_growing_in_use(tx: Tx, volume: Volume, row: pools.BackendRow) -> None:
    """Growth in use is a capability of the driver together with the target that made this very export."""
    stored = attachments.export_of(tx, volume.id)
    target = msgspec.json.decode(stored, type=Exported).target if stored else ""
    facts = msgspec.json.decode(row.capabilities)
    if not facts.get("online_extend") or (
        target and not facts.get("targets", {}).get(target, {}).get("live_resize")
    ):
        raise WrongStatus(
            f"Invalid volume: volume {volume.id} cannot grow while it is attached through {target or 'its export'}",
            needed="an export that can grow in use, or status available",
            had=f"status {volume.status}, exported by {target or 'nothing known'}",
            remedy="Detach the volume, extend it, and attach it again.",
        )


# -- tasks -------------------------------------------------------------------------------------------------------------------------


def _room(tx: Tx, work: Work) -> NoBackend | None:
    args = work.args
    request = PlacementRequest(
        volume_id=args["volume_id"],
        size=args["old_size"],
        new_size=args["size"],
        operation="extend_volume",
        project_id=work.project_id,
        type_name=args["type"],
        extra_specs=args["extra_specs"],
        only_on=args["host"],
        attached=args["attached"],
    )
    placed = place(tx, work, request, work.ports.policy)
    return placed if isinstance(placed, NoBackend) else None


def _no_room(tx: Tx, work: Work, result: Any) -> None:
    settle(tx, work, gone=True)


def _queue(work: Work) -> str:
    return str(work.args["queue"])


def _observe(work: Work, intent: Any) -> Observation[Any]:
    driver = backend(work.ports, work.args["backend_id"]).driver
    seen = driver.find(driver.name(work.args["volume_id"], Kind.VOLUME))
    if seen.found is Found.DONE and seen.value is not None and seen.value.size < work.args["size"]:
        return Observation.not_done()
    return Observation(
        seen.found, None if seen.value is None else msgspec.to_builtins(seen.value), seen.detail
    )


def _grow(work: Work, intent: Any) -> Any:
    volume, exported = _there(work)
    home = backend(work.ports, work.args["backend_id"])
    obj = object_of(home.driver, volume.id, Kind.VOLUME, volume.object_json, volume.size * GiB)
    return msgspec.to_builtins(
        home.driver.extend(obj, work.args["size"], live_port(home, exported), work.call)
    )


def _tell(work: Work, intent: Any) -> Any:
    _, exported = _there(work)
    if not exported:
        return None
    known = msgspec.json.decode(exported, type=Exported)
    try:
        backend(work.ports, work.args["backend_id"]).targets[known.target].resized(
            known.export, work.args["size"], work.call
        )
    except Error as error:
        if error.transient or isinstance(error, Lost):
            raise
        return {"finding": str(error)}
    return {"told": known.export.name}


def _host_queue(work: Work) -> str | None:
    return work.args.get("host_queue")


def _follow(work: Work, intent: Any) -> Any:
    if not work.args.get("attachment_id"):
        return None
    flat = dict(work.ports.read(lambda tx: attachments.get(tx, work.args["attachment_id"])).connection_info)
    protocol = flat.pop("driver_volume_type", "")
    try:
        seen = work.ports.connector(protocol).extend_volume({"driver_volume_type": protocol, "data": flat})
    except Error as error:
        if error.transient or isinstance(error, Lost):
            raise
        return {"finding": str(error)}
    return {"size": seen}


def _there(work: Work) -> tuple[Any, str]:
    id = work.args["volume_id"]
    return work.ports.read(lambda tx: (volumes.get(tx, id), attachments.export_of(tx, id)))  # type: ignore[no-any-return]


def _settle(tx: Tx, work: Work) -> None:
    id, size = work.args["volume_id"], work.args["size"]
    settle(tx, work)
    quotas.fold(tx, id, EXTENSION)
    values: dict[str, Any] = {"size": size // GiB}
    if work.results["grow"] is not None:
        values["object"] = msgspec.json.encode(work.results["grow"]).decode()
    volumes.settle(tx, id, BY_ATTACHMENTS, **values)
    for task, code in (("tell", "export.not-resized"), ("follow", "device.not-resized")):
        told = work.results.get(task) or {}
        if "finding" in told:
            messages.find_out(tx, id, work.operation, code, told["finding"])


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    _take_back(tx, work, VOLUME_MOVES["extend"].undone, error)


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    settle(tx, work)
    nothing_changed = error.get("code") == Unsupported.code
    move = VOLUME_MOVES["extend"]
    _take_back(tx, work, move.undone if nothing_changed else move.failed, error)


def _take_back(tx: Tx, work: Work, status: str, error: dict[str, Any]) -> None:
    quotas.discharge(tx, work.args["volume_id"], reason=EXTENSION)
    volumes.settle(tx, work.args["volume_id"], status)
    tell(
        tx, work, error, "extend volume", event_id="VOLUME_VOLUME_007_011", resource_id=work.args["volume_id"]
    )


FLOW = Flow(
    kind="volume.extend",
    tasks=(
        Change("room", _room, revert=_no_room, queue=lambda work: SCHEDULER),
        Effect("grow", _grow, observe=_observe, queue=_queue),
        Effect("tell", _tell, queue=_queue),
        Effect("follow", _follow, queue=_host_queue),
        Change("settle", _settle),
    ),
    pivot="grow",
    undone=_undone,
    stuck=_stuck,
)

# SPDX-License-Identifier: Apache-2.0
"""Create a volume: empty, from a snapshot, or a clone of a volume.

    place     Change  scheduler   choose a pool, reserve there, keep every pool's verdict
    allocate  Effect  backend     make the object (undo: delete it)
    publish   Change              the row becomes available

A backend that fails is left out and the flow goes back to `place`, at most three rounds. A volume that could not be made ends in
`error` with a message for its owner. A source is pinned until the operation ends; a source volume's object is held exclusively,
because a clone freezes its active layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from breezeblock.drivers.driver import Kind, Object, Spec
from breezeblock.flow.task import Change, Effect, Flow, Work
from breezeblock.model.errors import (
    BadFormat,
    BadRequest,
    BadSize,
    Cancelled,
    Error,
    Failed,
    NoBackend,
    NotThere,
    Unsupported,
)
from breezeblock.model.identity import Caller
from breezeblock.model.observation import Found, Observation
from breezeblock.model.snapshot import Snapshot
from breezeblock.model.status import SNAPSHOT_MOVES, VOLUME_MOVES
from breezeblock.model.units import GiB
from breezeblock.model.volume import Volume
from breezeblock.model.volume_type import VolumeType
from breezeblock.operations.failure import tell
from breezeblock.operations.placement import Place, place, settle
from breezeblock.operations.ports import backend, encode, live_port, object_of
from breezeblock.operations.submit import SCHEDULER, new_id, submit, volume_key
from breezeblock.scheduler.request import PlacementRequest
from breezeblock.store import attachments, quotas, snapshots, types, volumes
from breezeblock.store import pools as pool_rows
from breezeblock.store.transaction import Tx


class CreateVolume(msgspec.Struct, frozen=True, kw_only=True):
    """`size` in GiB; None: the source's. At most one source."""

    size: int | None = None
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None
    metadata: Mapping[str, str] = {}
    snapshot_id: str | None = None
    source_volid: str | None = None
    availability_zone: str | None = None
    hints: Mapping[str, Any] = {}


def create(tx: Tx, caller: Caller, wanted: CreateVolume) -> tuple[Volume, str]:
    """One transaction: checks, charge, row and operation. Returns the volume and the operation's id.
    Raises BadRequest, BadSize, NotFound, WrongStatus, OverQuota."""
    snapshot, source = _source(tx, caller, wanted)
    kind = _type(tx, caller, wanted, snapshot, source)
    size = _size(wanted, kind, snapshot, source)
    id, operation = new_id(), new_id()
    quotas.charge(tx, caller.project_id, id, charges(kind.name, size), size=size)
    zone = wanted.availability_zone or (source.availability_zone if source else None)
    volume = volumes.create(
        tx,
        {
            "id": id,
            "project_id": caller.project_id,
            "user_id": caller.user_id,
            "name": wanted.name,
            "description": wanted.description,
            "size": size,
            "status": VOLUME_MOVES["create"].to,
            "availability_zone": zone,
            "volume_type_id": kind.id,
            "snapshot_id": wanted.snapshot_id,
            "source_volid": wanted.source_volid,
            "metadata": encode(dict(wanted.metadata)),
            "multiattach": kind.extra_specs.get("multiattach") == "<is> True",
            "operation_id": operation,
            "bootable": source.bootable if source else False,
        },
        volume_type=kind.name,
    )
    keys: dict[str, bool] = {}
    if snapshot is not None:
        keys[f"pin/snapshot/{snapshot.id}"] = False
    if source is not None:
        keys |= {f"pin/volume/{source.id}": False, volume_key(source.id): True}
    args: dict[str, Any] = {
        "volume_id": id,
        "size": size * GiB,
        "type": kind.name,
        "extra_specs": kind.extra_specs,
        "zone": zone,
        "snapshot_id": wanted.snapshot_id,
        "source_volid": wanted.source_volid,
        "hints": dict(wanted.hints),
    }
    submit(
        tx,
        FLOW,
        caller,
        id=operation,
        resource_type="volume",
        resource_id=id,
        project_id=caller.project_id,
        queue=SCHEDULER,
        args=args,
        keys=keys,
    )
    return volume, operation


def charges(type_name: str, size: int) -> dict[str, int]:
    """What a volume of `size` GiB costs."""
    return {"volumes": 1, "gigabytes": size, f"volumes_{type_name}": 1, f"gigabytes_{type_name}": size}


def _source(tx: Tx, caller: Caller, wanted: CreateVolume) -> tuple[Snapshot | None, Volume | None]:
    project = None if caller.is_admin else caller.project_id
    if wanted.snapshot_id and wanted.source_volid:
        raise BadRequest(
            "Invalid input: at most one of snapshot_id and source_volid", needed="one source", had="two"
        )
    if wanted.snapshot_id:
        snapshot = snapshots.lock(tx, wanted.snapshot_id, project)  # a delete that comes now sees the pin
        if snapshot.status not in SNAPSHOT_MOVES["use"].frm:
            raise snapshots.refuse(snapshot, "use")
        return snapshot, None
    if wanted.source_volid:
        source = volumes.lock(tx, wanted.source_volid, project)
        if source.status not in VOLUME_MOVES["clone"].frm:
            raise volumes.refuse(source, "clone")
        return None, source
    return None, None


def _type(
    tx: Tx, caller: Caller, wanted: CreateVolume, snapshot: Snapshot | None, source: Volume | None
) -> VolumeType:
    if wanted.volume_type:
        return _plain(types.get(tx, wanted.volume_type, caller))
    inherited = source.volume_type_id if source else snapshot.volume_type_id if snapshot else None
    kind = types.get(tx, inherited) if inherited else types.default(tx, caller.project_id)
    return _plain(kind)


def _plain(kind: VolumeType) -> VolumeType:
    """Keys cannot be kept yet: a volume that its owner believes to be encrypted must not be made."""
    if kind.encryption_json:
        raise Unsupported(
            f"Volume type {kind.name} encrypts, and encrypted volumes cannot be made yet",
            needed="a volume type without encryption",
            had=f"type {kind.name}",
            remedy="Choose a type without encryption.",
        )
    return kind


def _size(wanted: CreateVolume, kind: VolumeType, snapshot: Snapshot | None, source: Volume | None) -> int:
    least = snapshot.size if snapshot else source.size if source else 1
    size = wanted.size if wanted.size is not None else (least if snapshot or source else None)
    if size is None:
        raise BadSize("Invalid input received: size is required", needed="a size in GiB")
    if size < least:
        raise BadSize(
            f"Invalid input received: Volume size '{size}' must be an integer and greater than or equal to the source's {least}",
            needed=f"at least {least} GiB",
            had=f"{size} GiB",
        )
    for key, wrong in (
        ("provisioning:min_vol_size", size.__lt__),
        ("provisioning:max_vol_size", size.__gt__),
    ):
        bound = kind.extra_specs.get(key)
        if bound and bound.isdigit() and wrong(int(bound)):
            raise BadSize(
                f"Invalid input received: size {size} is outside what type {kind.name} allows",
                needed=f"{key} {bound}",
                had=size,
            )
    return size


# -- tasks -------------------------------------------------------------------------------------------------------------------------


def _place(tx: Tx, work: Work) -> dict[str, Any] | NoBackend:
    args = work.args
    home = _home_of_source(tx, args)
    request = PlacementRequest(
        volume_id=args["volume_id"],
        size=args["size"],
        project_id=work.project_id,
        type_name=args["type"],
        extra_specs=args["extra_specs"],
        availability_zone=args["zone"],
        hints=args["hints"],
        located=_located(tx, args["hints"]),
        only_on=home,
        excluded=tuple(f["facts"]["pool"] for f in work.failures if f.get("facts", {}).get("pool")),
        attempt=work.round,
    )
    chosen = place(tx, work, request, work.ports.policy)
    if isinstance(chosen, NoBackend):
        return chosen
    zone = volumes.get(tx, args["volume_id"]).availability_zone
    row = pool_rows.backend(tx, chosen.backend_id)
    volumes.write(
        tx,
        args["volume_id"],
        backend_id=chosen.backend_id,
        pool=chosen.pool,
        availability_zone=zone or (row.availability_zone if row else None),
    )
    return msgspec.to_builtins(chosen)  # type: ignore[no-any-return]


def _home_of_source(tx: Tx, args: Mapping[str, Any]) -> str | None:
    """The pool of the source: a copy-on-write child lives beside its parent."""
    if args["snapshot_id"]:
        return volumes.get(tx, snapshots.get(tx, args["snapshot_id"]).volume_id).host
    return volumes.get(tx, args["source_volid"]).host if args["source_volid"] else None


def _located(tx: Tx, hints: Mapping[str, Any]) -> dict[str, str]:
    """Where the volumes named by same_host and different_host are."""
    found: dict[str, str] = {}
    for hint in ("same_host", "different_host"):
        value = hints.get(hint) or ()
        for id in [value] if isinstance(value, str) else value:
            volume = volumes.find(tx, str(id))
            if volume is not None and volume.host:
                found[volume.id] = volume.host
    return found


def _unplace(tx: Tx, work: Work, result: dict[str, Any]) -> None:
    settle(tx, work, gone=True)
    volumes.write(tx, work.args["volume_id"], backend_id=None, pool=None)


def _where(work: Work) -> str | None:
    placed = work.results.get("place")
    return placed["queue"] if placed else None


def _intent(work: Work) -> dict[str, Any]:
    placed = msgspec.convert(work.results["place"], Place)
    return {
        "backend_id": placed.backend_id,
        "pool": placed.pool,
        "host": placed.host,
        "volume_id": work.args["volume_id"],
    }


def _observe(work: Work, intent: dict[str, Any]) -> Observation[Any]:
    driver = backend(work.ports, intent["backend_id"]).driver
    seen = driver.find(driver.name(intent["volume_id"], Kind.VOLUME))
    if seen.found is Found.DONE and work.args["source_volid"]:
        # the point in time that a clone of an attached volume was made from goes last: while it stands, `do` has not ended
        point = driver.find(driver.name(intent["volume_id"], Kind.CHECKPOINT))
        if point.found is not Found.NOT_DONE:
            unseen = point.found is Found.UNKNOWN
            return (
                Observation.unknown(point.detail)
                if unseen
                else Observation.partial(detail="its checkpoint still stands")
            )
    value = None if seen.value is None else msgspec.to_builtins(seen.value)
    return Observation(seen.found, value, seen.detail)


def _allocate(work: Work, intent: dict[str, Any]) -> Any:
    args = work.args
    spec = Spec(
        id=args["volume_id"],
        size=args["size"],
        pool=intent["pool"],
        project_id=work.project_id,
        type_name=args["type"],
        extra_specs={k: v for k, v in args["extra_specs"].items() if v is not None},
    )
    try:
        home = backend(work.ports, intent["backend_id"])
        return msgspec.to_builtins(_make(work, home.driver, spec, intent))
    except Failed as error:
        error.facts.setdefault("pool", intent["host"])
        raise


def _make(work: Work, driver: Any, spec: Spec, intent: dict[str, Any]) -> Object:
    args = work.args
    if args["snapshot_id"]:
        found = work.ports.read(lambda tx: snapshots.get(tx, args["snapshot_id"]))
        source = object_of(
            driver, found.id, Kind.SNAPSHOT, found.object_json, found.size * GiB, found.volume_id
        )
        return driver.create(spec, source, work.call)  # type: ignore[no-any-return]
    if args["source_volid"]:
        volume, exported = work.ports.read(
            lambda tx: (
                volumes.get(tx, args["source_volid"]),
                attachments.export_of(tx, args["source_volid"]),
            )
        )
        origin = object_of(driver, volume.id, Kind.VOLUME, volume.object_json, volume.size * GiB)
        live = live_port(backend(work.ports, intent["backend_id"]), exported)
        begun = driver.find(driver.name(spec.id, Kind.CHECKPOINT)).value is not None
        if not exported and not begun:
            return driver.create(spec, origin, work.call)  # type: ignore[no-any-return]
        # held open: freeze a hidden point in time first, then the clone needs nobody's cooperation
        point = driver.checkpoint(origin, spec.id, live, work.call)
        made = driver.create(spec, point, work.call)
        driver.delete(point, work.call)
        return made  # type: ignore[no-any-return]
    return driver.create(spec, None, work.call)  # type: ignore[no-any-return]


def _deallocate(work: Work, intent: dict[str, Any], result: Any) -> None:
    driver = backend(work.ports, intent["backend_id"]).driver
    id, size = intent["volume_id"], work.args["size"]
    driver.delete(object_of(driver, id, Kind.VOLUME, "", size), work.call)
    if work.args["source_volid"]:
        driver.delete(object_of(driver, id, Kind.CHECKPOINT, "", size, work.args["source_volid"]), work.call)


def _publish(tx: Tx, work: Work) -> None:
    settle(tx, work)
    volumes.settle(
        tx,
        work.args["volume_id"],
        VOLUME_MOVES["create"].done,
        object=encode(work.results["allocate"]),
        launched_at=tx.now,
    )


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    volumes.settle(tx, work.args["volume_id"], VOLUME_MOVES["create"].undone)
    if error.get("code") != Cancelled.code:
        no_backend = error.get("code") == NoBackend.code
        tell(
            tx,
            work,
            error,
            "schedule allocate volume",
            event_id="VOLUME_VOLUME_001_003" if no_backend else "VOLUME_VOLUME_001_001",
            resource_id=work.args["volume_id"],
        )


def _again(error: Error) -> bool:
    """Another backend may do better, but not with a source that is not there or an image that is bad."""
    return isinstance(error, Failed) and not isinstance(error, (NoBackend, NotThere, BadFormat))


FLOW = Flow(
    kind="volume.create",
    tasks=(
        Change("place", _place, revert=_unplace, queue=lambda work: SCHEDULER),
        Effect("allocate", _allocate, observe=_observe, undo=_deallocate, intent=_intent, queue=_where),
        Change("publish", _publish),
    ),
    undone=_undone,
    back_to="place",
    rounds=3,
    again=_again,
)

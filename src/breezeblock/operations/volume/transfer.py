# SPDX-License-Identifier: Apache-2.0
"""Give a volume to another project: offered by its owner under a key, accepted by whoever has it. One transaction each, no operation:
nothing outside the database knows whose a volume is."""

from __future__ import annotations

from breezeblock.model import status as states
from breezeblock.model.errors import BadRequest, Conflict, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.model.transfer import Key, Transfer
from breezeblock.model.volume import Volume
from breezeblock.operations.submit import new_id, refuse_pinned
from breezeblock.store import quotas, snapshots, transfers, types, volumes
from breezeblock.store.transaction import Tx


def offer(
    tx: Tx, caller: Caller, volume_id: str, name: str | None, *, no_snapshots: bool
) -> tuple[Transfer, str]:
    """The offer and its key, which is told only now. Raises NotFound, WrongStatus."""
    volume = volumes.lock(tx, volume_id, None if caller.is_admin else caller.project_id)
    if not no_snapshots:
        _require_available(tx, volume)
    if not volumes.begin(
        tx, volume_id, "offer", where=(volumes.detached(), volumes.no_attachments(), volumes.mig_free())
    ):
        raise volumes.refuse(volume, "offer")
    key = Key.new()
    made = Transfer(new_id(), volume_id, volume.project_id, name, key.salt, key.hash, no_snapshots, tx.now)
    transfers.remove_of_volume(tx, volume_id)
    transfers.create(tx, made)
    return made, key.text


def accept(tx: Tx, caller: Caller, transfer_id: str, key: str) -> Transfer:
    """The volume, and its snapshots unless they stay, belong to the caller's project. Raises NotFound, BadRequest (the key), WrongStatus,
    OverQuota; then nothing was changed."""
    found = transfers.get(tx, transfer_id)
    if not found.opens(key):
        raise BadRequest(
            "Attempt to accept a transfer with a wrong auth key",
            needed="the key that the offer's answer told",
        )
    volume = volumes.lock(tx, found.volume_id)
    found = transfers.get(tx, transfer_id)  # not taken back, nor accepted by another, meanwhile
    if volume.status not in states.VOLUME_MOVES["accept"].frm:
        raise volumes.refuse(volume, "accept")
    refuse_pinned(tx, "volume", volume.id)
    if volume.volume_type_id:
        types.get(tx, volume.volume_type_id, caller)  # a private type that the project may not use
    going = [] if found.no_snapshots else _require_available(tx, volume)
    for snapshot_id in going:
        refuse_pinned(tx, "snapshot", snapshot_id)
    quotas.move(tx, [volume.id, *going], caller.project_id, size=volume.size)
    owner = {"project_id": caller.project_id, "user_id": caller.user_id}
    volumes.settle(tx, volume.id, states.VOLUME_MOVES["accept"].done, **owner)
    for snapshot_id in going:
        snapshots.write(tx, snapshot_id, **owner)
    transfers.remove(tx, found.id)
    return found


def withdraw(tx: Tx, caller: Caller, transfer_id: str) -> None:
    """Take an offer back. A volume that has left awaiting-transfer some other way keeps its status. Raises NotFound."""
    project = None if caller.is_admin else caller.project_id
    volume_id = transfers.get(tx, transfer_id, project).volume_id
    volume = volumes.lock(tx, volume_id)
    found = transfers.get(tx, transfer_id, project)  # not accepted meanwhile
    if volume.status in states.VOLUME_MOVES["accept"].frm:
        volumes.settle(tx, found.volume_id, states.VOLUME_MOVES["offer"].undone)
    transfers.remove(tx, found.id)


def _require_available(tx: Tx, volume: Volume) -> list[str]:
    """The ids of the volume's snapshots, which are all at rest and nobody else's to change until this transaction ends. Those that an
    earlier owner kept stay his."""
    ids = []
    for one in snapshots.of_volume(tx, volume.id):
        snapshot = snapshots.lock(tx, one.id)
        if snapshot.project_id != volume.project_id:
            continue
        if snapshot.status not in states.SNAPSHOT_MOVES["use"].frm:
            raise WrongStatus(
                f"Invalid snapshot: snapshot {snapshot.id} of volume {volume.id} must be available",
                needed="every snapshot of the volume in status available",
                had=f"{snapshot.id} in status {snapshot.status}",
            )
        if snapshot.group_snapshot_id is not None:
            raise Conflict(f"Snapshot {snapshot.id} belongs to group snapshot {snapshot.group_snapshot_id}")
        ids.append(snapshot.id)
    return ids

# SPDX-License-Identifier: Apache-2.0
"""Verbs of a volume without an effect outside: one transaction each, no operation."""

from __future__ import annotations

from collections.abc import Sequence

from breezeblock.model import status as states
from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import BadRequest, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.model.volume import Volume
from breezeblock.operations.attachment.connect import CONNECTING
from breezeblock.operations.fence_off import fence_off
from breezeblock.store import attachments, history, messages, volumes
from breezeblock.store.transaction import Tx


def _mine(caller: Caller) -> str | None:
    return None if caller.is_admin else caller.project_id


def reserve(tx: Tx, caller: Caller, volume_id: str) -> None:
    volume = volumes.lock(tx, volume_id, _mine(caller))
    if not volumes.begin(tx, volume_id, "reserve"):
        raise volumes.refuse(volume, "reserve")


def unreserve(tx: Tx, caller: Caller, volume_id: str) -> None:
    """attaching -> by attachments; any other status is left alone, silently (the contract)."""
    if volumes.lock(tx, volume_id, _mine(caller)).status in states.VOLUME_MOVES["unreserve"].frm:
        volumes.settle(tx, volume_id, states.BY_ATTACHMENTS)


def begin_detaching(tx: Tx, caller: Caller, volume_id: str) -> None:
    """A migrating volume passes without change."""
    volume = volumes.lock(tx, volume_id, _mine(caller))
    migrating = volume.migration_status is not None and volume.migration_status not in states.MIGRATION_FREE
    if migrating and volume.status == "in-use":
        return
    if volume.attach_status != "attached" or not volumes.begin(tx, volume_id, "begin_detaching"):
        raise volumes.refuse(volume, "begin_detaching")


def roll_detaching(tx: Tx, caller: Caller, volume_id: str) -> None:
    if volumes.lock(tx, volume_id, _mine(caller)).status == "detaching":
        volumes.settle(tx, volume_id, states.VOLUME_MOVES["roll_detaching"].done)


def set_readonly(tx: Tx, caller: Caller, volume_id: str, readonly: bool) -> None:
    volume = volumes.lock(tx, volume_id, _mine(caller))
    if volume.status not in states.VOLUME_MOVES["readonly"].frm:
        raise volumes.refuse(volume, "readonly")
    volumes.set_metadata(tx, volume_id, "admin_metadata", {"readonly": str(readonly)})


def set_bootable(tx: Tx, caller: Caller, volume_id: str, bootable: bool) -> None:
    volumes.get(tx, volume_id, _mine(caller))
    volumes.write(tx, volume_id, bootable=bootable)


def refuse_frozen_metadata(volume: Volume) -> None:
    """Raises WrongStatus while the metadata may not change."""
    if volume.status in states.METADATA_FROZEN:
        raise WrongStatus(
            f"Invalid volume: metadata of volume {volume.id} can not be changed in status {volume.status}",
            needed="another status than " + " or ".join(sorted(states.METADATA_FROZEN)),
            had=f"status {volume.status}",
        )


def _refuse_connecting(tx: Tx, volume: Volume, known: Sequence[Attachment]) -> None:
    """An attach that is ended in the middle leaves an export, or a device, that no row knows of; a cancelled one takes them back."""
    for operation in {volume.operation_id, *(a.operation_id for a in known)} - {None}:
        kind = history.find_running(tx, str(operation))
        if kind in CONNECTING:
            raise WrongStatus(
                f"Invalid volume: operation {operation} ({kind}) is at work on volume {volume.id}",
                needed="no connection that is being made",
                had=f"operation {operation}",
                remedy="Cancel that operation; it takes back what it has made.",
                operation=operation,
            )


def _refuse_connected(volume: Volume, known: Sequence[Attachment]) -> None:
    """Free on paper while a host still has it is how two hosts come to write to one volume."""
    connected = [a for a in known if a.connection_json]
    if connected:
        raise WrongStatus(
            f"Invalid volume: volume {volume.id} is still exported to {connected[0].attached_host or 'a host'}",
            needed="no attachment with a connection",
            had=", ".join(f"attachment {a.id} ({a.attach_status})" for a in connected),
            remedy="Delete the attachment, or force it: 'breezeblock detach --force' or os-force_detach.",
        )


def reset_status(
    tx: Tx,
    volume_id: str,
    *,
    status: str | None = None,
    attach_status: str | None = None,
    migration_status: str | None = None,
) -> None:
    """An administrator's word, in one transaction: a running operation loses (it is ended and its owner fenced off), the finding is kept,
    the columns are written. Refused for what the contract refuses, and where it would leave an export that nobody knows of."""
    volume = volumes.lock(tx, volume_id)
    if status is not None and status not in states.resettable(states.VOLUME):
        raise BadRequest(f"Invalid input received: Must specify a valid status, not {status}", had=status)
    known = attachments.of_volume(tx, volume_id)
    if status == "in-use" and not known:
        raise BadRequest(
            f"Invalid volume: volume {volume_id} has no attachment", needed="an attachment", had="none"
        )
    if status == "available" or attach_status == "detached":
        _refuse_connected(volume, known)
    if status is not None or attach_status is not None:
        _refuse_connecting(tx, volume, known)
        fence_off(tx, volume.operation_id, "reset-status")
    values: dict[str, object] = {}
    if attach_status is not None:
        values["attach_status"] = attach_status
        if attach_status == "detached":
            attachments.remove_of_volume(tx, volume_id)
            volumes.set_metadata(tx, volume_id, "admin_metadata", {"attached_mode": None})
    if migration_status is not None:
        values["migration_status"] = None if migration_status == "none" else migration_status
    messages.find_out(
        tx,
        volume_id,
        volume.operation_id,
        "status.reset",
        f"reset by an administrator from {volume.status}/{volume.attach_status}/{volume.migration_status} to "
        f"{status or '-'}/{attach_status or '-'}/{migration_status or '-'}",
    )
    if status is not None:
        volumes.settle(tx, volume_id, status, **values)
    else:
        volumes.write(tx, volume_id, **values)

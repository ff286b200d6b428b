# SPDX-License-Identifier: Apache-2.0
"""Reserve a volume for a consumer: one transaction, no effect outside."""

from __future__ import annotations

from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.model.volume import Volume
from breezeblock.operations.submit import new_id
from breezeblock.store import attachments, volumes
from breezeblock.store.transaction import Tx


def create(
    tx: Tx,
    caller: Caller,
    volume_id: str,
    *,
    instance_uuid: str | None = None,
    mode: str | None = None,
    agent_host: str | None = None,
) -> Attachment:
    """The attachment, reserved. Raises NotFound, WrongStatus."""
    project = None if caller.is_admin else caller.project_id
    volume = volumes.lock(tx, volume_id, project)
    if volume.status.startswith("error"):
        raise volumes.refuse(volume, "attachment_create")
    if not volumes.begin(tx, volume_id, "attachment_create", project_id=project) and not _same_instance(
        tx, volume, instance_uuid
    ):
        raise volumes.refuse(volume, "attachment_create")
    id = new_id()
    attachments.create(
        tx,
        {
            "id": id,
            "volume_id": volume_id,
            "project_id": volume.project_id,
            "instance_uuid": instance_uuid,
            "attach_mode": resolve_mode(volume, mode),
            "agent_host": agent_host,
        },
    )
    return attachments.get(tx, id)


def is_readonly(volume: Volume) -> bool:
    return volume.admin_metadata.get("readonly", "False").lower() == "true"


def resolve_mode(volume: Volume, mode: str | None) -> str:
    """A readonly volume is attached for reading whatever was asked (the contract); "null" until somebody says."""
    return "ro" if is_readonly(volume) else (mode or "null")


def refuse_writing(volume: Volume, mode: str) -> None:
    """For verbs that do not change what was asked. Raises WrongStatus: rw on a readonly volume."""
    if is_readonly(volume) and mode == "rw":
        raise WrongStatus(
            f"Invalid volume: volume {volume.id} is read-only",
            needed="mode ro",
            had="mode rw",
            remedy="Attach it read-only, or clear the volume's readonly flag first.",
        )


def _same_instance(tx: Tx, volume: Volume, instance_uuid: str | None) -> bool:
    """Live migration: the instance that has the volume asks for a second attachment of it."""
    return (
        instance_uuid is not None
        and volume.status in ("in-use", "reserved")
        and any(a.instance_uuid == instance_uuid for a in attachments.of_volume(tx, volume.id))
    )

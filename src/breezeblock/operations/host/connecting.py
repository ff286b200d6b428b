# SPDX-License-Identifier: Apache-2.0
"""The Effect on the agent's host: a connection becomes a device of this host, and goes again."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.brick.connector import Device, Identity
from breezeblock.flow.task import Effect, Work
from breezeblock.model.attachment import Attachment
from breezeblock.model.observation import Observation
from breezeblock.model.units import GiB
from breezeblock.operations.attachment.exporting import Admitted
from breezeblock.store import attachments, volumes


def host_queue(work: Work) -> str:
    return str(work.args["host_queue"])


def _connection(work: Work) -> dict[str, Any]:
    """{driver_volume_type, data} from the export of this operation, or from the attachment; of the type "" when there is none."""
    if "export" in work.results:
        return msgspec.convert(work.results["export"], Admitted).connection
    attachment = _attachment(work)
    flat = dict(attachment.connection_info) if attachment is not None else {}
    kind = flat.pop("driver_volume_type", "")
    return {"driver_volume_type": kind, "data": flat}


def _attachment(work: Work) -> Attachment | None:
    return work.ports.read(lambda tx: attachments.find(tx, work.args["attachment_id"]))  # type: ignore[no-any-return]


def connect(work: Work, intent: Any) -> Any:
    info = _connection(work)
    size = work.ports.read(lambda tx: volumes.get(tx, work.args["volume_id"])).size * GiB
    connector = work.ports.connector(info["driver_volume_type"])
    return msgspec.to_builtins(connector.connect_volume(info, Identity(work.args["volume_id"], size)))


def observe(work: Work, intent: Any) -> Observation[Any]:
    info = _connection(work)
    seen = work.ports.connector(info["driver_volume_type"]).observe(info)
    return Observation(
        seen.found, None if seen.value is None else msgspec.to_builtins(seen.value), seen.detail
    )


def disconnect(work: Work, intent: Any, result: Any = None) -> Any:
    """Raises Busy, naming the mount, while the device is open. Absent is success."""
    info = _connection(work)
    if not info["driver_volume_type"]:
        return None
    attachment = _attachment(work) if result is None else None
    stored = attachment.device if attachment is not None else result
    device = msgspec.convert(stored, Device) if stored else None
    force = bool(work.args.get("force"))
    work.ports.connector(info["driver_volume_type"]).disconnect_volume(
        info, device, force=force, ignore_errors=force
    )
    return None


CONNECT = Effect("connect", connect, observe=observe, undo=disconnect, queue=host_queue)
DISCONNECT = Effect("disconnect", disconnect, queue=host_queue)

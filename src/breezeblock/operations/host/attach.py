# SPDX-License-Identifier: Apache-2.0
"""Attach a volume to the host of an agent, as one durable operation across two queues.

export    Effect  backend  export and admit (undo: take both back)
connect   Effect  host     a device appears and is verified (undo: disconnect)
complete  Change           attached, in-use; device and boot id on record"""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Change, Flow, Work
from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import NotFound, WrongStatus
from breezeblock.model.identity import Caller
from breezeblock.operations.attachment.complete import mark_attached
from breezeblock.operations.attachment.connect import record_connection, tell_attach_failed
from breezeblock.operations.attachment.create import create, refuse_writing
from breezeblock.operations.attachment.delete import forget
from breezeblock.operations.attachment.exporting import EXPORT
from breezeblock.operations.host.connecting import CONNECT
from breezeblock.operations.ports import encode
from breezeblock.operations.submit import INTERACTIVE, agent_queue, backend_queue, new_id, submit_holding
from breezeblock.store import attachments, services, volumes
from breezeblock.store.transaction import Tx

#: A process beats every 10 s; one that was not heard for so long is down, as the list of services says too.
SILENT_SECONDS = 60


def attach(
    tx: Tx,
    caller: Caller,
    volume_id: str,
    *,
    host: str,
    here: str | None = None,
    mode: str = "rw",
    connector: dict[str, Any] | None = None,
) -> tuple[Attachment, str]:
    """The attachment and the operation. `host` is the agent's, `here` the host of this process' own agent; `connector` its
    connector properties. Raises NotFound (also: no agent serves the host), WrongStatus (also: rw on a readonly volume)."""
    attachment = create(tx, caller, volume_id, mode=mode, agent_host=host)
    volume = volumes.get(tx, volume_id)
    if volume.backend_id is None:
        raise WrongStatus(
            f"Invalid volume: volume {volume_id} was never placed", needed="a volume on a backend", had="none"
        )
    refuse_writing(volume, mode)
    if host != here:
        _refuse_unserved(tx, host, here)
    operation = new_id()
    attachments.write(tx, attachment.id, operation_id=operation)
    volumes.write(tx, volume_id, operation_id=operation)
    args: dict[str, Any] = {
        "attachment_id": attachment.id,
        "volume_id": volume_id,
        "backend_id": volume.backend_id,
        "queue": backend_queue(tx, volume.backend_id),
        "host_queue": agent_queue(host),
        "host": host,
        "connector": {"host": host, **(connector or {})},
        "mode": attachment.attach_mode,
    }
    submit_holding(tx, FLOW, caller, volume, args, id=operation, queue=args["queue"], lane=INTERACTIVE)
    return attachments.get(tx, attachment.id), operation


def _refuse_unserved(tx: Tx, host: str, here: str | None) -> None:
    """Raises NotFound: an operation on a queue that nobody serves would only wait."""
    served = services.served_queues(tx, SILENT_SECONDS * 1_000_000)
    if agent_queue(host) in served:
        return
    prefix = agent_queue("")
    agents = sorted(
        {queue.removeprefix(prefix) for queue in served if queue.startswith(prefix)} | {here or ""} - {""}
    )
    raise NotFound(
        f"No agent serves host {host}",
        needed="a host with a running agent",
        had=", ".join(agents) or "none",
        remedy=f"Start the service with the agent role on {host}"
        + (f", or attach to {' or '.join(agents)}." if agents else "."),
    )


def _complete(tx: Tx, work: Work) -> None:
    record_connection(tx, work)
    device = work.results["connect"]
    attachments.write(
        tx,
        work.args["attachment_id"],
        device=encode(device),
        boot_id=work.ports.boot_id,
        mountpoint=str(device["path"])[:255],
    )
    mark_attached(tx, work.args["attachment_id"], work.args["volume_id"])


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    forget(tx, work.args["attachment_id"], work.args["volume_id"])
    tell_attach_failed(tx, work, error)


FLOW = Flow(kind="host.attach", tasks=(EXPORT, CONNECT, Change("complete", _complete)), undone=_undone)

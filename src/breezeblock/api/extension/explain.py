# SPDX-License-Identifier: Apache-2.0
"""Why something is as it is, in sentences: who holds its status and since when, what the operations did, why a pool was chosen and the
others were not."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.route import route
from breezeblock.api.views import operation as operation_view
from breezeblock.model.attachment import Attachment
from breezeblock.model.errors import NotFound
from breezeblock.model.operation import Operation
from breezeblock.model.status import ATTACHMENT, SNAPSHOT, VOLUME, Holder, State
from breezeblock.store import attachments, history, messages, pools, snapshots, volumes
from breezeblock.store.transaction import Tx

#: Operations that are told of, newest first.
TOLD = 10


class HolderShown(msgspec.Struct, frozen=True):
    """`kind` is "operation" or "client"; `id` the operation or the attachment that waits."""

    kind: str
    id: str | None
    since: str | None
    who: str | None


class AttachmentTold(msgspec.Struct, frozen=True):
    id: str
    volume_id: str
    status: str
    host: str | None
    device: str | None
    instance: str | None


class PoolTold(msgspec.Struct, frozen=True):
    pool: str
    verdict: str
    filters: list[dict[str, Any]]
    weight: float | None


class PlacementTold(msgspec.Struct, frozen=True):
    chosen: str | None
    at: str
    pools: list[PoolTold]


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    resource_type: str
    status: str
    #: null: nobody holds it.
    holder: HolderShown | None
    sentences: list[str]
    placement: PlacementTold | None
    operations: list[operation_view.OperationShown]
    attachments: list[AttachmentTold]


class Answer(msgspec.Struct, frozen=True):
    explain: Explained


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What all kinds of things have in common."""

    id: str
    kind: str
    status: str
    since: str | None
    operation_id: str | None
    states: dict[str, State]
    attachments: tuple[Attachment, ...] = ()
    volume_id: str | None = None


@route("breezeblock.explain", "GET /breezeblock/explain/{id}", policy="breezeblock:explain")
def show(call: Call, tx: Tx, id: str) -> Answer:
    """Explain a volume, snapshot, attachment or operation."""
    subject = _subject(call, tx, id)
    told = history.page(tx, project_id=call.scope, resource_id=subject.id, limit=TOLD)
    if subject.kind == "operation":
        told = [history.get(tx, subject.id, call.scope)]
    findings = messages.findings_of(tx, subject.id) if call.caller.is_admin else []
    placement = _placement(tx, subject.id, call.caller.is_admin)
    return Answer(
        Explained(
            id=subject.id,
            resource_type=subject.kind,
            status=subject.status,
            holder=_holder(call, subject, told),
            sentences=_sentences(call, subject, told, findings, placement),
            placement=placement,
            operations=operation_view.all_shown(call, told),
            attachments=[
                AttachmentTold(
                    a.id,
                    a.volume_id,
                    a.attach_status,
                    a.agent_host or a.attached_host,
                    a.device.get("path"),
                    a.instance_uuid,
                )
                for a in subject.attachments
            ],
        )
    )


def _subject(call: Call, tx: Tx, id: str) -> _Subject:
    volume = volumes.find(tx, id, call.scope)
    if volume is not None:
        return _Subject(
            id=volume.id,
            kind="volume",
            status=volume.status,
            since=volume.status_since,
            operation_id=volume.operation_id,
            states=VOLUME,
            attachments=volume.attachments or attachments.of_volume(tx, volume.id),
        )
    snapshot = snapshots.find(tx, id, call.scope)
    if snapshot is not None:
        return _Subject(
            id=snapshot.id,
            kind="snapshot",
            status=snapshot.status,
            since=snapshot.status_since,
            operation_id=snapshot.operation_id,
            states=SNAPSHOT,
            volume_id=snapshot.volume_id,
        )
    attachment = attachments.find(tx, id, call.scope)
    if attachment is not None:
        return _Subject(
            id=attachment.id,
            kind="attachment",
            status=attachment.attach_status,
            since=attachment.updated_at or attachment.created_at,
            operation_id=attachment.operation_id,
            states=ATTACHMENT,
            attachments=(attachment,),
            volume_id=attachment.volume_id,
        )
    try:
        operation = history.get(tx, id, call.scope)
    except NotFound:
        raise NotFound(f"There is no volume, snapshot, attachment or operation {id}") from None
    return _Subject(
        id=operation.id,
        kind="operation",
        status=operation.state,
        since=operation.finished_at or operation.started_at or operation.created_at,
        operation_id=None if operation.ended else operation.id,
        states={},
    )


def _holder(call: Call, subject: _Subject, told: list[Operation]) -> HolderShown | None:
    if subject.operation_id is not None:
        running = next((o for o in told if o.id == subject.operation_id), None)
        who = running.held_by if running is not None and call.caller.is_admin else None
        return HolderShown("operation", subject.operation_id, subject.since, who)
    state = subject.states.get(subject.status)
    if state is None or state.holder is not Holder.CLIENT:
        return None  # also where only the status speaks of an operation: there is none
    waiting = next((a for a in subject.attachments if a.attach_status in ("reserved", "attaching")), None)
    who = None
    if waiting is not None:
        who = (
            f"instance {waiting.instance_uuid}"
            if waiting.instance_uuid
            else f"host {waiting.attached_host or 'not named yet'}"
        )
    return HolderShown("client", None if waiting is None else waiting.id, subject.since, who)


def _sentences(
    call: Call,
    subject: _Subject,
    told: list[Operation],
    findings: list[tuple[str, str, str]],
    placement: PlacementTold | None,
) -> list[str]:
    holder = _holder(call, subject, told)
    since = f" since {subject.since}" if subject.since else ""
    out = [f"The {subject.kind} {subject.id} is {subject.status}{since}."]
    if holder is None:
        state = subject.states.get(subject.status)
        if state is not None and state.holder is Holder.OPERATION:
            out.append("Its status speaks of an operation, but none holds it: an administrator may reset it.")
        elif subject.kind != "operation":
            out.append("Nothing holds it: the status rests.")
    elif holder.kind == "operation":
        out.append(_of_running(next((o for o in told if o.id == holder.id), None), str(holder.id)))
    else:
        who = holder.who or "a client"
        out.append(
            f"Its status is held by {who}, not by this service: it stays so until the client completes or takes it back."
        )
    last = told[0] if told else None
    if last is not None and last.ended:
        out.append(_of_ended(last))
    if placement is not None:
        out.append(
            f"It was placed on {placement.chosen}."
            if placement.chosen
            else "No pool could take it; each pool's verdict is listed."
        )
        out += [
            f"{pool.pool} was refused by {said['name']}: {said['detail']}."
            for pool in placement.pools
            if pool.verdict == "refused"
            for said in pool.filters
            if not said["passed"]
        ]
    out += [f"Finding of {at} ({code}): {text}." for code, text, at in findings[:TOLD]]
    return out


def _of_running(operation: Operation | None, id: str) -> str:
    if operation is None:
        return f"It is held by operation {id}."
    text = f"It is held by operation {id} ({operation.kind}), which is {operation.state}"
    if operation.task:
        text += f" at task {operation.task}"
    if operation.progress is not None and operation.progress.total:
        text += f", {100 * operation.progress.done // operation.progress.total} % of {operation.progress.total} bytes"
    if operation.attempt > 1:
        text += f", attempt {operation.attempt}"
    if operation.waits_for:
        text += f", waiting for {operation.waits_for}"
    if operation.error:
        text += f"; its last error: {operation.error.get('message')}"
    return text.rstrip(".") + "."


def _of_ended(operation: Operation) -> str:
    text = (
        f"Its last operation {operation.id} ({operation.kind}) {operation.state} at {operation.finished_at}"
    )
    if operation.error:
        text += f": {operation.error.get('message')} {operation.error.get('remedy', '')}"
    return text.strip().rstrip(".") + "."


def _placement(tx: Tx, id: str, admin: bool) -> PlacementTold | None:
    kept = pools.decision_of(tx, id)
    if kept is None:
        return None
    decision, at = msgspec.json.decode(kept[0]), kept[1]
    if not admin:
        # Where things are is the operator's business; that and when it was decided is the owner's too.
        return PlacementTold(None, at, []) if decision.get("chosen") is None else None
    return PlacementTold(
        decision.get("chosen"),
        at,
        [
            PoolTold(
                pool["pool"],
                pool["verdict"],
                [
                    {key: said.get(key) for key in ("name", "passed", "needed", "had", "detail")}
                    for said in pool.get("filters", [])
                ],
                pool.get("weight"),
            )
            for pool in decision.get("pools", [])
        ],
    )

# SPDX-License-Identifier: Apache-2.0
"""Pay a debt: an undo that could not be done when its operation ended, because the backend or host did not answer.

    pay       Effect  the debt's queue   the undo of the task that owes it; a transient failure waits without end
    strike    Change                     the debt row goes

What is owed is named by the volume's id, and so is what a newer operation made: before anything is taken away the rows are asked whether
the volume lives there, or is exported or connected there, again. Its key is held meanwhile, so that the answer stays true."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Change, Effect, Flow, Retry, Work
from breezeblock.model.errors import Unreachable
from breezeblock.model.identity import Caller
from breezeblock.model.status import VOLUME_MOVES
from breezeblock.operations.submit import new_id, submit, volume_key
from breezeblock.store import attachments, debts, messages, volumes
from breezeblock.store.debts import Debt
from breezeblock.store.transaction import Tx


def pay(tx: Tx, debt: Debt) -> str:
    """The operation that pays it. Called once per debt, when its queue is served again."""
    operation = new_id()
    volume = debt.args.get("volume_id")
    debts.assign(tx, debt.id, operation)
    submit(
        tx,
        FLOW,
        Caller(user_id="", project_id=debt.project_id, is_admin=True),
        id=operation,
        resource_type="debt",
        resource_id=debt.id,
        project_id=debt.project_id,
        queue=debt.queue,
        args={
            "debt_id": debt.id,
            "queue": debt.queue,
            "kind": debt.kind,
            "task": debt.task,
            "args": debt.args,
            "intent": debt.intent,
            "result": debt.result,
            "results": debt.results,
            "resource_id": debt.resource_id,
        },
        keys={volume_key(volume): True} if volume else {},
    )
    return operation


def _pay(work: Work, intent: Any) -> Any:
    from breezeblock.operations.registry import FLOWS

    flow = FLOWS[work.args["kind"]]
    task = flow.tasks[flow.index(work.args["task"])]
    assert isinstance(task, Effect), "only Effects owe"
    owed = Work(
        operation=work.operation,
        kind=flow.kind,
        resource_id=work.args["resource_id"],
        project_id=work.project_id,
        args=work.args["args"],
        fence=work.fence,
        results=work.args["results"],
        ports=work.ports,
        call=work.call,
    )
    reason = work.ports.read(lambda tx: _superseded(tx, owed, task.name, work.args["intent"]))
    if reason:
        return {"paid": reason}
    task.undo(owed, work.args["intent"], work.args["result"])
    return {"paid": f"{flow.kind}:{task.name}"}


def _superseded(tx: Tx, owed: Work, task: str, intent: Any) -> str:
    """Why nothing may be taken away any more; "" when it may."""
    volume = volumes.find(tx, str(owed.args.get("volume_id")))
    if volume is None:
        return ""
    if task == "allocate" and volume.backend_id == intent["backend_id"]:
        return "a later round placed the volume there"
    if task == "allocate" and volume.status == VOLUME_MOVES["create"].to:
        # a new volume's key is not its create's: the next round may place it there while this takes away what the first one made
        raise Unreachable(
            f"volume {volume.id} is still being made",
            needed="a create that has ended",
            had=f"status {volume.status}",
        )
    if task == "export" and attachments.export_of(tx, volume.id):
        return "the export is in use by a newer attachment"
    there = [
        a
        for a in attachments.of_volume(tx, volume.id)
        if a.agent_host == owed.args.get("host") and a.connection_json
    ]
    if task == "connect" and there:
        return f"the device is in use by attachment {there[0].id}"
    return ""


def _strike(tx: Tx, work: Work) -> None:
    debts.strike(tx, work.args["debt_id"])


def _stuck(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    messages.find_out(
        tx,
        work.args["resource_id"],
        work.operation,
        "debt.unpaid",
        f"{work.args['kind']}:{work.args['task']} is owed to {work.args['queue']} and cannot be undone: {error.get('message')}",
    )
    debts.assign(tx, work.args["debt_id"], None)


def _undone(tx: Tx, work: Work, error: dict[str, Any]) -> None:
    """Cancelled before it began: still owed."""
    debts.assign(tx, work.args["debt_id"], None)


FLOW = Flow(
    kind="debt.pay",
    tasks=(
        Effect("pay", _pay, queue=lambda work: str(work.args["queue"]), retry=Retry(delays=(1, 10, 60, 300))),
        Change("strike", _strike),
    ),
    pivot="pay",
    undone=_undone,
    stuck=_stuck,
)

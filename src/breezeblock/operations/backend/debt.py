# SPDX-License-Identifier: Apache-2.0
"""Pay a debt: an undo that could not be done when its operation ended, because the backend or host did not answer.

    pay       Effect  the debt's queue   the undo of the task that owes it; a transient failure waits without end
    strike    Change                     the debt row goes

The volume's key is held meanwhile, so that what a newer operation made is never taken for what is owed."""

from __future__ import annotations

from typing import Any

from breezeblock.flow.task import Change, Effect, Flow, Retry, Work
from breezeblock.model.identity import Caller
from breezeblock.operations.submit import new_id, submit, volume_key
from breezeblock.store import attachments, debts, messages
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
    volume = owed.args.get("volume_id")
    if task.name == "export" and volume and work.ports.read(lambda tx: attachments.export_of(tx, volume)):
        return {"paid": "the export is in use by a newer attachment"}
    task.undo(owed, work.args["intent"], work.args["result"])
    return {"paid": f"{flow.kind}:{task.name}"}


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


FLOW = Flow(
    kind="debt.pay",
    tasks=(
        Effect("pay", _pay, queue=lambda work: str(work.args["queue"]), retry=Retry(delays=(1, 10, 60, 300))),
        Change("strike", _strike),
    ),
    pivot="pay",
    stuck=_stuck,
)

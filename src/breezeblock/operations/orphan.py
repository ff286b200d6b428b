# SPDX-License-Identifier: Apache-2.0
"""What becomes of an operation whose queue nobody serves any more: the database decides alone. The same flow is driven with every Effect
failing at once as orphaned, so a create goes elsewhere, another verb ends in its error status, and each undo that would be needed becomes
a debt on the dead queue. Nothing an operation holds stays transitional longer than lease + orphan_after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from breezeblock.flow.task import Effect, Flow, Work
from breezeblock.model.errors import Failed


class Orphaned(Failed):
    code = "queue.orphaned"
    summary = "No process serves the backend or host any more."
    default_remedy = "Start the service on that host again; what is owed there is paid then."


def orphaned(flow: Flow) -> Flow:
    """The flow as it is decided for a dead queue. Its task names, Changes and endings are the flow's own."""
    return replace(
        flow, tasks=tuple(_dead(task) if isinstance(task, Effect) else task for task in flow.tasks)
    )


def _dead(task: Effect) -> Effect:
    def gone(work: Work, *_: Any) -> NoReturn:
        placed = work.results.get("place")
        raise Orphaned(
            f"queue {task.queue(work)} has had no server for too long",
            needed="a process that serves it",
            had="none",
            **(
                {"pool": placed["host"]} if placed else {}
            ),  # as from the backend itself: it is left out of the next round
        )

    return replace(task, do=gone, observe=gone, undo=gone)

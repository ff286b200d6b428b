# SPDX-License-Identifier: Apache-2.0
"""The page that says what happens when the service is killed, made from the flows and the state tables so that it cannot be wrong:
`python -m breezeblock.operations > docs/OPERATIONS.md`; a test compares the two. What a task does is said in its module's docstring."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields

from breezeblock.flow.task import Change, Effect, Flow, Task
from breezeblock.model import status as states
from breezeblock.operations.registry import FLOWS

_HEAD = """\
# Operations, and what a kill leaves

<!-- Printed by `python -m breezeblock.operations`. Change the flows in src/breezeblock/operations/, then print it again. -->

Every verb with an effect outside the database is a durable operation: a list of tasks that the database knows by name. Whoever owns the
operation can be killed at any instant (SIGKILL, power, out of memory); the next owner, usually the same service after its restart, reads
the journal and goes on. Nothing has to be repaired by hand, and attached disks keep working meanwhile: their exporters are processes of
their own.

A task is an **Effect** (touches a backend or a host; may happen more than once) or a **Change** (database only; happens once, in the
transaction of its journal entry). All Changes up to the next Effect and that Effect's intent are one transaction.

| Killed | What is there | What the next owner does |
|---|---|---|
| before the request's transaction has committed | nothing: no row, no charge, no operation | the client asks again |
| `KIND:TASK:change-before`: in the transaction of a Change | what was before that transaction | the same transaction again |
| `KIND:TASK:intent-before`: in the transaction of an intent | what was before that transaction | the same transaction again |
| `KIND:TASK:intent-after`: the Effect was announced, not begun | the intent in the journal | looks first (*observe*), then does it |
| inside the Effect (points of drivers, targets, connectors) | part of it, or all | looks first; finishes it or does it again |
| `KIND:TASK:done-before`: it has happened, nobody knows | the effect, and its intent | looks first, finds it done |
| `KIND:TASK:done-after` | effect and result | goes on with the next task |
| `KIND:TASK:undo-before`, in an undo, `undo-after` | the journal says: going back | undoes this task again, then those before it |
| during any of these recoveries | as above | as above |

Before the **pivot** a failure or a cancel undoes what was done, in reverse. From the pivot on there is only forward: what a retry can mend
is tried again without end, anything else ends in the verb's error status with a message. A verb without a pivot can be undone to its end.
*Unknown* (the backend cannot be asked) waits and touches nothing. An undo that cannot be done within its budget becomes a debt, which
`debt.pay` pays when its server is back.

The points are armed with `BREEZEBLOCK_KILL_AT=NAME` (SIGKILL at the first visit, `NAME:3` at the third) or `BREEZEBLOCK_STOP_AT`
(SIGSTOP). `tests/crash` kills at every one of them, and again during each recovery.

## Verbs
"""

_STATUS_HEAD = """\
## Who holds a status

A status held by an *operation* is left when that operation ends, whatever dies meanwhile. A status held by a *client* is shown with who
and since when, and never times out silently. All others rest.

| Noun | Status | Held by | Reached by | Left to |
|---|---|---|---|---|"""

#: "name     Effect  backend  what it does", in a verb's docstring.
_LINE = re.compile(r"^\s*(\w+)\s{2,}(Effect|Change)\s+(.*)$", re.MULTILINE)

_WHERE = re.compile(r"^(backend|host|scheduler|the debt's queue)(\s{2,}|$)")
_EFFECT, _CHANGE = ({field.name: field.default for field in fields(kind)} for kind in (Effect, Change))


def page() -> str:
    verbs = [line for flow in FLOWS.values() for line in _verb(flow)]
    return "\n".join([_HEAD, *verbs, _STATUS_HEAD, *_statuses(), ""])


def _verb(flow: Flow) -> Iterator[str]:
    said = _said(flow)
    yield f"### {flow.kind}\n"
    yield f"{said['']}\n"
    yield "| Task | Kind | What it does | Killed in it | Undo |\n|---|---|---|---|---|"
    for task in flow.tasks:
        pivot = " (pivot)" if task.name == flow.pivot else ""
        kind = "Change" if isinstance(task, Change) else "Effect"
        yield f"| `{task.name}`{pivot} | {kind} | {said.get(task.name, '')} | {_killed(task)} | {_undo(flow, task)} |"
    yield ""


def _said(flow: Flow) -> dict[str, str]:
    """What the verb's module says of itself ("") and of each task."""
    module = next(m for m in list(sys.modules.values()) if getattr(m, "FLOW", None) is flow)
    text = (module.__doc__ or "").strip()
    said = {match[1]: _WHERE.sub("", match[3]).strip() for match in _LINE.finditer(text)}
    return said | {"": " ".join(text.split("\n\n")[0].split())}


def _killed(task: Task) -> str:
    if isinstance(task, Change):
        return "made anew: it is one transaction"
    return (
        "done again" if task.observe is _EFFECT["observe"] else "looked at first, then finished or done again"
    )


def _undo(flow: Flow, task: Task) -> str:
    if flow.pivot is not None and flow.index(task.name) >= flow.index(flow.pivot):
        return "never: forward only"
    if isinstance(task, Change):
        return "with its transaction" if task.revert is _CHANGE["revert"] else "taken back in one transaction"
    return "nothing to undo" if task.undo is _EFFECT["undo"] else "taken back"


def _statuses() -> Iterator[str]:
    for noun, table, moves in (
        ("volume", states.VOLUME, states.VOLUME_MOVES),
        ("snapshot", states.SNAPSHOT, states.SNAPSHOT_MOVES),
        ("attachment", states.ATTACHMENT, {}),
    ):
        for state in table.values():
            if state.holder is states.Holder.NOBODY:
                continue
            mine = [move for move in moves.values() if move.to == state.name]
            if not mine and moves:
                continue  # a later version's verb will reach it
            by = ", ".join(f"`{move.verb}`" for move in mine) or "requests on the attachment"
            ends = {end for move in mine for end in (move.done, move.undone, move.failed)}
            if state.holder is states.Holder.CLIENT:  # further requests lead on
                ends = {move.to for move in moves.values() if state.name in move.frm}
            shown = ", ".join(sorted(_plain(end) for end in ends - {state.name, ""})) or "the next request's"
            yield f"| {noun} | `{state.name}` | {state.holder} | {by} | {shown} |"


def _plain(end: str) -> str:
    words = {
        states.BACK: "the status before",
        states.GONE: "gone",
        states.BY_ATTACHMENTS: "`in-use` or `available`",
    }
    return words.get(end, f"`{end}`")

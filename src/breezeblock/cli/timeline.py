# SPDX-License-Identifier: Apache-2.0
"""An operation's timeline as a picture in text: one line a task, a bar for when it ran, the pivot as a ruled line, rounds and undoing
in the order in which they happened. Pure: an operation's document in, lines out."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from breezeblock.cli import render

#: Columns of the bar.
SCALE = 28
_MARKS = {
    "done": ("✓", "+"),
    "intent": ("▸", ">"),
    "undone": ("↺", "<"),
    "failed": ("✗", "x"),
    "planned": ("·", "."),
}


class Step(NamedTuple):
    """One task in one round: `began` is its intent when there was one."""

    task: str
    round: int
    state: str
    began: datetime.datetime | None
    ended: datetime.datetime | None
    detail: str


def steps(operation: Mapping[str, Any]) -> list[Step]:
    """The journal folded to one step per task and outcome, then the tasks that have not begun."""
    out: list[Step] = []
    for entry in operation.get("timeline") or []:
        at = render.moment(entry.get("at"))
        took = entry.get("seconds")
        task, turn, state = str(entry["task"]), int(entry.get("round") or 0), str(entry["state"])
        began = at - datetime.timedelta(seconds=took) if at is not None and took else at
        detail = str(entry.get("detail") or "")
        last = out[-1] if out else None
        # An intent and what became of it are one line; a result without seconds began at its intent.
        if last is not None and (last.task, last.round, last.state) == (task, turn, "intent"):
            out[-1] = Step(task, turn, state, began if took else last.began, at, detail or last.detail)
        else:
            out.append(Step(task, turn, state, began, None if state == "intent" else at, detail))
    culprit = (operation.get("error") or {}).get("task")
    if culprit and not any(step.task == culprit and step.state == "failed" for step in out):
        # A task in the database alone that fails leaves no entry: its transaction was rolled back, journal and all.
        out.append(Step(str(culprit), int(operation.get("round") or 0), "failed", None, None, ""))
    if operation.get("state") not in ("succeeded", "failed", "cancelled", "undoing"):
        begun = {step.task for step in out if step.round == max(s.round for s in out)} if out else set()
        out += [Step(t, 0, "planned", None, None, "") for t in operation.get("tasks") or [] if t not in begun]
    return out


def draw(operation: Mapping[str, Any], *, lines: bool | None = None) -> str:
    """The whole picture."""
    fancy = render.drawn() if lines is None else lines
    found = steps(operation)
    moments = [m for step in found for m in (step.began, step.ended) if m is not None]
    start = min(moments, default=None)
    span = (max(moments) - min(moments)).total_seconds() if moments else 0.0
    columns = max((render.width(step.task) for step in found), default=0)
    text, turn = [_head(operation)], found[0].round if found else 0
    for step in found:
        if step.state != "planned" and step.round != turn:
            turn = step.round
            text.append(f"  round {turn}: placed anew")
        if step.task == operation.get("pivot") and step.state != "undone":
            text.append(
                "  "
                + ("─" if fancy else "-") * 4
                + " pivot: before it a failure undoes, after it only forward"
            )
        mark = _MARKS.get(step.state, ("?", "?"))[0 if fancy else 1]
        took = (step.ended - step.began).total_seconds() if step.began and step.ended else None
        shown = render.seconds(took) if took is not None else ("running" if step.state == "intent" else "")
        bar = _bar(step, start, span, fancy)
        text.append(f"  {mark} {render.pad(step.task, columns)}  {shown:>9}  {bar}  {_note(step)}".rstrip())
    text += _foot(operation)
    return "\n".join(text)


def _head(operation: Mapping[str, Any]) -> str:
    began = render.moment(operation.get("started_at") or operation.get("created_at"))
    ended = render.moment(operation.get("finished_at"))
    took = f" in {render.seconds((ended - began).total_seconds())}" if began and ended else ""
    return (
        f"{operation['kind']}  {operation.get('resource_type') or ''} {operation.get('resource_id') or ''}\n"
        f"operation {operation['id']}  {operation['state']}{took}  (started {render.clock(operation.get('started_at'))})"
    )


def _bar(step: Step, start: datetime.datetime | None, span: float, fancy: bool) -> str:
    full, empty = ("█", " ") if fancy else ("#", " ")
    if step.began is None or start is None:
        return empty * SCALE
    if span <= 0:
        return render.pad(full, SCALE)
    first = min(SCALE - 1, int((step.began - start).total_seconds() / span * SCALE))
    # A step that runs still is drawn to the edge.
    last = SCALE if step.ended is None else int((step.ended - start).total_seconds() / span * SCALE)
    return render.pad(empty * first + full * max(1, last - first), SCALE)


def _note(step: Step) -> str:
    note = render.clean(step.detail)
    return f"undone {note}".rstrip() if step.state == "undone" else note


def _foot(operation: Mapping[str, Any]) -> list[str]:
    out = []
    progress = operation.get("progress")
    if progress and operation.get("state") in ("running", "undoing"):
        out.append(f"  {render.size(progress['done'])} of {render.size(progress['total'])}")
    if operation.get("waits_for"):
        out.append(f"  waits for: {operation['waits_for']}")
    if int(operation.get("attempt") or 0) > 1:
        out.append(f"  attempt {operation['attempt']}")
    if operation.get("error"):
        out.append(f"  reason: {sentence(operation['error'])}")
    return out


def sentence(error: Mapping[str, Any]) -> str:
    """What was needed, what there was, and the remedy."""
    from breezeblock.cli.exits import failure

    return str(failure(error, ""))


def counted(operations: Sequence[Mapping[str, Any]]) -> str:
    """The table of `operation list`."""
    return render.table(
        ["ID", "KIND", "RESOURCE", "STATE", "TASK", "STARTED", "TOOK"],
        [
            [
                o["id"],
                o["kind"],
                o.get("resource_id"),
                o["state"],
                o.get("task"),
                render.clock(o.get("created_at")),
                _took(o),
            ]
            for o in operations
        ],
    )


def _took(operation: Mapping[str, Any]) -> str:
    began = render.moment(operation.get("started_at") or operation.get("created_at"))
    ended = render.moment(operation.get("finished_at"))
    return render.seconds((ended - began).total_seconds()) if began and ended else render.NOTHING

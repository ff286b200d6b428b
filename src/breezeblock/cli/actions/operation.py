# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock operation ...` and `breezeblock explain` do: the timeline as a picture, cancelling, and why a thing is as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breezeblock.cli import render, timeline
from breezeblock.cli.names import is_id, resolve_any
from breezeblock.cli.session import Session
from breezeblock.cli.wait import until_ended


def list_all(
    session: Session, *, resource: str | None, state: str | None, kind: str | None, limit: int
) -> None:
    ident = resolve_any(session.client, resource) if resource else None
    found = session.client.get(
        "/breezeblock/operations", resource_id=ident, state=state, kind=kind, limit=limit
    )["operations"]
    session.show({"operations": found}, timeline.counted(found))


def show(session: Session, *, operation: str, follow: bool) -> None:
    client, ident = session.client, operation
    if not is_id(operation):
        # A name: the last thing that happened to what it names.
        found = client.get("/breezeblock/operations", resource_id=resolve_any(client, operation), limit=1)[
            "operations"
        ]
        ident = found[0]["id"] if found else operation
    if follow:
        until_ended(client, ident, session.progress, timeout=session.timeout)
        session.progress.clear()
    document = client.get(f"/breezeblock/operations/{ident}")
    session.show(document, timeline.draw(document["operation"]))


def cancel(session: Session, *, operation: str) -> None:
    client = session.client
    document = client.post(f"/breezeblock/operations/{operation}/cancel", {}).body
    if session.wait:
        until_ended(client, operation, session.progress, timeout=session.timeout)
        session.progress.clear()
        document = client.get(f"/breezeblock/operations/{operation}")
    session.show(document, timeline.draw(document["operation"]))


def explain(session: Session, *, ident: str) -> None:
    document = session.client.get(f"/breezeblock/explain/{resolve_any(session.client, ident)}")
    session.show(document, explained(document["explain"]))


def explained(found: Mapping[str, Any]) -> str:
    """Sentences first, then the numbers behind them."""
    text = [f"{found['resource_type']} {found['id']} is {found.get('status') or 'gone'}"]
    text += [f"  {sentence}" for sentence in found.get("sentences") or []]
    holder = found.get("holder")
    if holder:
        who = " ".join(str(holder[key]) for key in ("kind", "id") if holder.get(key))
        text.append(
            f"held by {who} since {render.clock(holder.get('since'))}  {holder.get('who') or ''}".rstrip()
        )
    if found.get("placement"):
        text += ["", _placement(found["placement"])]
    if found.get("attachments"):
        rows = [
            [a.get("id"), a.get("status"), a.get("host"), a.get("device"), a.get("mode")]
            for a in found["attachments"]
        ]
        text += ["", render.table(["ATTACHMENT", "STATUS", "HOST", "DEVICE", "MODE"], rows)]
    if found.get("operations"):
        text += ["", timeline.counted(found["operations"])]
    return "\n".join(text)


def _placement(placement: Mapping[str, Any]) -> str:
    lines = [f"placed on {placement.get('chosen') or 'no pool'} at {render.clock(placement.get('at'))}"]
    for pool in placement.get("pools") or []:
        weight = "" if pool.get("weight") is None else f"  weight {pool['weight']:.3g}"
        lines.append(f"  {pool['pool']}: {pool['verdict']}{weight}")
        for item in pool.get("filters") or []:
            numbers = (
                f"  needed {item['needed']}, there was {item['had']}"
                if item.get("needed") is not None
                else ""
            )
            lines.append(
                f"    {'passed' if item['passed'] else 'REFUSED'}  {item['name']}{numbers}  {item.get('detail') or ''}".rstrip()
            )
    return "\n".join(lines)

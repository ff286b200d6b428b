# SPDX-License-Identifier: Apache-2.0
"""Operations: list, show (with a long poll), cancel."""

from __future__ import annotations

import re

from breezeblock.api.call import Call
from breezeblock.api.route import ASYNC, Query, route
from breezeblock.api.views import links
from breezeblock.api.views import operation as view
from breezeblock.model.errors import BadRequest, NotFound
from breezeblock.store import history
from breezeblock.store.transaction import Tx

#: The longest a show request waits, in seconds.
LONGEST_WAIT = 30.0
PAGE, MOST = 100, 1000
_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_TEXT = {"type": "string"}


@route(
    "breezeblock.operations.list",
    "GET /breezeblock/operations",
    policy="breezeblock:operations",
    query=tuple(
        Query(name=name, schema=_TEXT) for name in ("resource_id", "state", "kind", "limit", "marker")
    ),
)
def index(call: Call, tx: Tx) -> view.OperationList:
    """List operations, newest first."""
    query = call.query
    limit = query.get("limit", str(PAGE))
    if not _NUMBER.fullmatch(limit):
        raise BadRequest("limit must be a number", had=repr(limit[:40]))
    most = min(int(limit), MOST)
    if most == 0:
        return view.OperationList([])
    found = history.page(
        tx,
        project_id=call.scope,
        resource_id=query.get("resource_id"),
        state=query.get("state"),
        kind=query.get("kind"),
        limit=most,
        marker=query.get("marker") or None,
    )
    answer = view.all_shown(call, found)
    if len(answer) < most:
        return view.OperationList(answer)
    return view.OperationList(answer, links.next_page(call, "breezeblock/operations", answer[-1].id))


@route(
    "breezeblock.operations.show",
    "GET /breezeblock/operations/{operation_id}",
    hop=ASYNC,
    policy="breezeblock:operations",
    query=(
        Query(
            name="wait",
            schema={"type": "number", "maximum": LONGEST_WAIT},
            description="Answer at the next change.",
        ),
    ),
)
async def show(call: Call, operation_id: str) -> view.OneOperation:
    """Show an operation with its timeline; with wait, when its state changes or it ends."""
    store = call.services.store
    found = await store.read(lambda tx: history.get(tx, operation_id, call.scope))
    seconds = _wait(call.query.get("wait"))
    if seconds > 0 and not found.ended:
        await call.services.changed(operation_id, seconds)
        found = await store.read(lambda tx: history.get(tx, operation_id, call.scope))
    return view.OneOperation(view.shown(call, found, timeline=True))


def _wait(text: str | None) -> float:
    if text is None:
        return 0.0
    if not _SECONDS.fullmatch(text):
        raise BadRequest("wait must be a number of seconds", had=repr(text[:40]))
    return min(float(text), LONGEST_WAIT)


@route(
    "breezeblock.operations.cancel",
    "POST /breezeblock/operations/{operation_id}/cancel",
    hop=ASYNC,
    status=202,
    policy="breezeblock:cancel",
    errors=(409,),
)
async def cancel(call: Call, operation_id: str) -> view.OneOperation:
    """Ask for an operation to stop and undo; 409 once it is past its pivot."""
    store = call.services.store
    found = await store.read(lambda tx: history.get(tx, operation_id, call.scope))
    if call.services.cancel is None:
        raise NotFound("No engine runs here to cancel with")
    await call.services.cancel(call.caller, found.id)
    return view.OneOperation(
        view.shown(
            call, await store.read(lambda tx: history.get(tx, operation_id, call.scope)), timeline=True
        )
    )

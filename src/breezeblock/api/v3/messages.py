# SPDX-License-Identifier: Apache-2.0
"""User messages (3.3): why work for a project failed."""

from __future__ import annotations

import msgspec

from breezeblock.api import paging
from breezeblock.api.call import Call
from breezeblock.api.filters import MESSAGE
from breezeblock.api.route import WRITE, route
from breezeblock.api.views import message as view
from breezeblock.model.paging import PageQuery
from breezeblock.store import messages
from breezeblock.store.transaction import Tx

SINCE = 3
#: Filters, order and pages work from here on.
PAGED = 5


@route(
    "messages.list", "GET /messages", policy="message:get_all", min=SINCE, query=paging.parameters(MESSAGE)
)
def index(call: Call, tx: Tx) -> view.MessageList:
    """List messages."""
    if call.version >= PAGED:
        query = paging.read(call, MESSAGE)
    else:
        query = PageQuery(limit=call.services.facts.max_limit, project_id=call.caller.project_id)
    found, more, _ = paging.page(call, query, "messages", lambda q: messages.page(tx, q))
    return view.MessageList(view.details(call, found), more if call.version >= PAGED else msgspec.UNSET)


@route("messages.show", "GET /messages/{message_id}", policy="message:get", min=SINCE)
def show(call: Call, tx: Tx, message_id: str) -> view.OneMessage:
    """Show a message."""
    return view.OneMessage(view.details(call, [messages.get(tx, message_id, call.scope)])[0])


@route(
    "messages.delete",
    "DELETE /messages/{message_id}",
    hop=WRITE,
    status=204,
    policy="message:delete",
    min=SINCE,
)
def remove(call: Call, tx: Tx, message_id: str) -> None:
    """Delete a message."""
    messages.remove(tx, messages.get(tx, message_id, call.scope).id)

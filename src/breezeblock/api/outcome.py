# SPDX-License-Identifier: Apache-2.0
"""Waiting for the operation behind a call whose answer is the operation's result (a connection). Past the deadline the answer is 504 and
names the operation, which then undoes unless another request has joined it; a failed operation becomes the error that it ended with. Must
never retry."""

from __future__ import annotations

from typing import Any

from breezeblock.api.call import Call
from breezeblock.model.errors import Error, Failed, TimedOut, catalogue

_KNOWN = catalogue()


async def wait(call: Call, operation_id: str | None, *, seconds: float | None = None) -> None:
    """Returns when the operation has succeeded (None: there was nothing to do)."""
    if operation_id is None:
        return
    call.operation_id = operation_id
    most = call.services.facts.connect_seconds if seconds is None else seconds
    ended = await call.services.wait(operation_id, most)
    if ended is None or not ended.ended:
        await call.services.abandon(call.caller, operation_id)
        state = "unknown" if ended is None else ended.state
        raise TimedOut(
            f"Operation {operation_id} has not ended",
            needed=f"an end within {most:g} s",
            had=f"state {state}",
            remedy="It is taken back unless another request waits for it. See 'breezeblock operation show', then try again.",
            operation=operation_id,
        )
    if ended.state != "succeeded":
        raise error_of(ended.error, operation_id)


def error_of(described: Any, operation_id: str) -> Error:
    """The catalogue's error that an operation ended with."""
    said = described if isinstance(described, dict) else {}
    kind = _KNOWN.get(str(said.get("code", "")), Failed)
    return kind(
        f"Operation {operation_id} failed: {said.get('message', 'no reason is on record')}",
        remedy=str(said.get("remedy", "")),
        operation=operation_id,
    )

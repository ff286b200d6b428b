# SPDX-License-Identifier: Apache-2.0
"""Waiting for operations, cancelling them, and what a waiting request sees: the coroutine side of the engine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from breezeblock.bus.inprocess import InProcessBell
from breezeblock.model.errors import Cancelled, Conflict, Refused
from breezeblock.model.identity import Caller
from breezeblock.model.operation import Operation
from breezeblock.store import history, operations
from breezeblock.store.claims import StoreClaims
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx

#: bells of other processes are not heard here: look again after so many seconds.
LOOK_AGAIN = 1.0


class Waiting:
    def __init__(self, store: Store, bell: InProcessBell, claims: StoreClaims) -> None:
        self._store, self._bell, self._claims = store, bell, claims

    async def ended(self, id: str, seconds: float) -> Operation:
        """The operation once it has ended, or as it is when the seconds are over."""
        return await self._until(id, seconds, lambda now, first: now.ended)

    async def changed(self, id: str, seconds: float) -> Operation:
        """The operation at its next change: state, task, attempt or progress."""
        return await self._until(id, seconds, lambda now, first: now.ended or _face(now) != _face(first))

    async def _until(
        self, id: str, seconds: float, enough: Callable[[Operation, Operation], bool]
    ) -> Operation:
        deadline = time.monotonic() + seconds
        first: Operation | None = None
        while True:
            with self._bell.listening(f"operation/{id}") as heard:
                now = await self._store.read(lambda tx: history.get(tx, id, None))
                first = first or now
                left = deadline - time.monotonic()
                if enough(now, first) or left <= 0:
                    return now
                await heard(min(left, LOOK_AGAIN))

    async def abandon(self, caller: Caller, id: str) -> None:
        """A waiting request gave up. Unless another one of this process waits too, the operation is cancelled, if it still can be."""
        if not self._bell.awaited(f"operation/{id}"):
            with contextlib.suppress(Refused, Cancelled):
                await self.cancel(caller, id)

    async def cancel(self, caller: Caller, id: str) -> Operation:
        """Ask for a cancel. Raises NotFound, Conflict (it has ended), Cancelled (409, past the pivot: names the task)."""
        project = None if caller.is_admin else caller.project_id

        def write(tx: Tx) -> None:
            found = history.get(tx, id, project)
            if found.ended:
                raise Conflict(
                    f"Operation {id} has already {found.state}", needed="a running operation", had=found.state
                )
            if operations.past_pivot(tx, id):
                raise Cancelled(
                    f"Operation {id} is past task {found.pivot} and can only go forward",
                    needed=f"a state before {found.pivot}",
                    had=f"task {found.task}",
                    remedy="Wait until it has ended, then undo it by another request.",
                )
            operations.request_cancel(tx, id)

        await self._store.write(write)
        self._claims.flag_cancel(id)
        return await self._store.read(lambda tx: history.get(tx, id, project))


def _face(operation: Operation) -> tuple[object, ...]:
    done = operation.progress.done if operation.progress else 0
    return operation.state, operation.task, operation.attempt, operation.round, done

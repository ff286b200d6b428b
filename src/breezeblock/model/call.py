# SPDX-License-Identifier: Apache-2.0
"""What travels with every call into a driver, target or connector: who acts, how to report, when to stop. No look-ups behind it."""

from __future__ import annotations

from collections.abc import Callable


class Context:
    """Travels with every call: who acts (`operation`, `fence`), how to report, when to stop. Plain, no look-ups behind it."""

    __slots__ = ("_check", "_progress", "deadline", "fence", "operation")

    def __init__(
        self,
        operation: str = "",
        fence: int = 0,
        *,
        deadline: float | None = None,
        progress: Callable[[int, int], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        #: id of the operation, part of the names of unpublished bulk data (<name>.<operation>.<fence>).
        self.operation = operation
        #: the resource's fence token.
        self.fence = fence
        #: time.monotonic() after which a mover must be killed; None: the caller feeds no deadline.
        self.deadline = deadline
        self._progress, self._check = progress, check

    def progress(self, done: int, total: int) -> None:
        """Bytes done of total. Cheap: the engine writes it at most once a second."""
        if self._progress is not None:
            self._progress(done, total)

    def check(self) -> None:
        """Raises Cancelled, Fenced or Stopping when the work must not go on. Call it in every loop over bytes."""
        if self._check is not None:
            self._check()

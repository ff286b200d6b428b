# SPDX-License-Identifier: Apache-2.0
"""How a command ends: the five exit codes and the one exception that carries a reason to the person. A reason says what was needed,
what there was and the remedy. Must never be raised for a bug: those stay tracebacks.

    0 ok    1 refused or failed    2 usage    3 the service cannot be reached    4 still not done after --timeout
    130 Ctrl-C: the operation, if one was waited for, goes on
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OK, REFUSED, USAGE, UNREACHABLE, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Ended(Exception):
    """The command ends here with `status`, and `message` is all that a person needs to know."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "refused",
        needed: object = None,
        had: object = None,
        remedy: str = "",
        operation: str = "",
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.needed, self.had, self.remedy, self.operation = needed, had, remedy, operation

    def __str__(self) -> str:
        parts = [self.message.strip().rstrip(".")]
        # The service's own messages may carry the numbers already; nobody wants to read them twice.
        if self.needed is not None and f"needed {self.needed}" not in self.message:
            parts.append(f"needed {self.needed}")
        if self.had is not None and f"there was {self.had}" not in self.message:
            parts.append(f"there was {self.had}")
        sentence = "; ".join(parts)
        sentence += "" if sentence.endswith("?") else "."
        return f"{sentence} {self.remedy}".rstrip()

    def document(self) -> dict[str, Any]:
        """What --json prints for it."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "exit": self.status}
        for key in ("needed", "had"):
            value = getattr(self, key)
            error[key] = None if value is None else str(value)
        error["remedy"] = self.remedy or None
        error["operation_id"] = self.operation or None
        return {"error": error}


def refused(message: str, **more: Any) -> Ended:
    return Ended(REFUSED, message, **more)


def usage(message: str, **more: Any) -> Ended:
    return Ended(USAGE, message, code="usage", **more)


def failure(error: Mapping[str, Any], operation: str) -> Ended:
    """From the error of a failed operation."""
    return Ended(
        REFUSED,
        str(error.get("message") or "the operation failed"),
        code=str(error.get("code") or "failed"),
        needed=error.get("needed"),
        had=error.get("had"),
        remedy=str(error.get("remedy") or f"See 'breezeblock operation show {operation}'."),
        operation=operation,
    )

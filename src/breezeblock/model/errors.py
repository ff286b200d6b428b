# SPDX-License-Identifier: Apache-2.0
"""The error catalogue: every refusal and failure a person can meet, once. An entry has a stable code, the HTTP status, a summary
and a remedy; an instance adds what was needed and what there was. Raise them or return them, never log and go on.

    Error
    |- Refused                 the request is wrong or the state does not allow it; nothing was changed
    |   |- BadRequest 400, Malformed 400, WrongStatus 400, BadSize 400, Pinned 400
    |   |- Unauthenticated 401, Forbidden 403, NotFound 404, Conflict 409, OverQuota 413, TooLarge 413
    |- Failed                  work was tried outside and did not succeed
    |   |- NoBackend, NoSpace, NotThere, Busy, BadFormat, Unsupported, ProgramMissing, ProgramFailed, DeviceWrong
    |   |- Unreachable (transient), TimedOut (transient)
    |- Lost                    this process no longer owns the work: Fenced, Cancelled, Stopping
"""

from __future__ import annotations

from typing import Any, ClassVar


class Error(Exception):
    """Base. `needed`, `had` and `remedy` are for people; `facts` are plain data for machines (never a secret)."""

    code: ClassVar[str] = "internal"
    http: ClassVar[int] = 500
    summary: ClassVar[str] = "Something went wrong inside the service."
    default_remedy: ClassVar[str] = "Look at the operation's timeline and the service log."
    #: A retry with back-off may mend it.
    transient: ClassVar[bool] = False

    def __init__(
        self, message: str = "", *, needed: object = None, had: object = None, remedy: str = "", **facts: Any
    ) -> None:
        self.message = message or self.summary
        self.needed, self.had, self.facts = needed, had, facts
        self.remedy = remedy or self.default_remedy
        super().__init__(self.message)

    def __str__(self) -> str:
        parts = [self.message.rstrip(".")]
        if self.needed is not None:
            parts.append(f"needed {self.needed}")
        if self.had is not None:
            parts.append(f"there was {self.had}")
        return "; ".join(parts) + "."

    def describe(self) -> dict[str, Any]:
        """Plain data: what is journalled, shown by the CLI and sent in the operations extension."""
        out: dict[str, Any] = {"code": self.code, "message": str(self), "remedy": self.remedy}
        if self.needed is not None:
            out["needed"] = str(self.needed)
        if self.had is not None:
            out["had"] = str(self.had)
        if self.facts:
            out["facts"] = {
                k: v if isinstance(v, (int, float, bool)) else str(v) for k, v in self.facts.items()
            }
        return out


class Refused(Error):
    """Refused before anything was changed."""

    code, http = "refused", 400
    summary = "The request was refused."
    default_remedy = "Change the request and send it again; nothing was changed."


class BadRequest(Refused):
    code, http = "request.bad", 400
    summary = "The request is not valid."


class Malformed(BadRequest):
    code = "request.malformed"
    summary = "The request body could not be understood."


class WrongStatus(Refused):
    code, http = "status.wrong", 400
    summary = "The status does not allow this."
    default_remedy = "Wait until the running operation ends (see 'breezeblock explain ID'), then try again."


class Pinned(WrongStatus):
    code = "status.pinned"
    summary = "Another operation is reading this object."
    default_remedy = "Wait for the operation named here, or cancel it."


class BadSize(Refused):
    code, http = "size.bad", 400
    summary = "The size is not possible."


class Unauthenticated(Refused):
    code, http = "auth.token", 401
    summary = "The request carries no valid token."
    default_remedy = "Send the token in X-Auth-Token; the CLI finds the local one by itself."


class Forbidden(Refused):
    code, http = "auth.policy", 403
    summary = "Policy does not allow this."
    default_remedy = "Ask an administrator."


class NotFound(Refused):
    code, http = "not-found", 404
    summary = "It does not exist (or is not visible to this project)."
    default_remedy = "List what there is and use its id."


class Conflict(Refused):
    code, http = "conflict", 409
    summary = "It conflicts with what there is."


class OverQuota(Refused):
    code, http = "quota.exceeded", 413
    summary = "The request would exceed the project's quota."
    default_remedy = "Delete something, or ask an administrator for a larger quota."


class TooLarge(Refused):
    code, http = "request.too-large", 413
    summary = "The request body is too large."


class Failed(Error):
    """Work outside the database was tried and did not succeed."""

    code, http = "failed", 500
    summary = "The work failed."


class NoBackend(Failed):
    code = "placement.no-backend"
    summary = "No pool can take the volume."
    default_remedy = "See 'breezeblock explain ID' for each pool's verdict and numbers."


class NoSpace(Failed):
    code = "storage.full"
    summary = "There is not enough space."
    default_remedy = "Free space on the storage folder or add a pool, then try again."


class NotThere(Failed):
    code = "storage.not-found"
    summary = "The object is not on the backend."


class Busy(Failed):
    code = "storage.busy"
    summary = "The object is in use."
    default_remedy = "Detach it, or delete what depends on it, first."


class BadFormat(Failed):
    code = "image.bad-format"
    summary = "The image is not acceptable."
    default_remedy = "Convert it to plain raw or qcow2 without backing or data file, then try again."


class Unsupported(Failed):
    code = "backend.unsupported"
    summary = "The backend cannot do this."
    default_remedy = "Choose a volume type whose backend declares the capability."


class ProgramMissing(Failed):
    code = "host.program-missing"
    summary = "A program that is needed is not installed."


class ProgramFailed(Failed):
    code = "host.program-failed"
    summary = "A program ended with an error."


class DeviceWrong(Failed):
    code = "host.device-wrong"
    summary = "The device that appeared is not the volume."
    default_remedy = "Nothing was handed out. Look at the host's devices, detach stale ones, then try again."


class Unreachable(Failed):
    code, transient = "backend.unreachable", True
    summary = "The backend or host does not answer."


class TimedOut(Failed):
    code, transient, http = "timed-out", True, 504
    summary = "It took longer than allowed."


class Lost(Error):
    """This process must not go on with the work. Not a failure of the work."""

    code = "lost"
    summary = "This process no longer owns the work."


class Fenced(Lost):
    code = "lost.fenced"
    summary = "A newer owner has taken over."


class Cancelled(Lost):
    code, http = "lost.cancelled", 409
    summary = "The operation was cancelled."


class Stopping(Lost):
    code, http = "lost.stopping", 503
    summary = "The service is stopping."
    default_remedy = "Send the request again in a few seconds."


def catalogue() -> dict[str, type[Error]]:
    """Every entry by its code. Codes are unique; the tests hold that."""
    found: dict[str, type[Error]] = {}
    todo: list[type[Error]] = [Error]
    while todo:
        cls = todo.pop()
        found.setdefault(cls.code, cls)
        todo.extend(cls.__subclasses__())
    return found

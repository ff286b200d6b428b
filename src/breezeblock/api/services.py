# SPDX-License-Identifier: Apache-2.0
"""What the API is given by the process that starts it: the store, who authenticates, how to wait for an operation, a few facts of the
configuration. There are no globals: everything a request needs is reached from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breezeblock.api.auth import Authenticator
from breezeblock.api.policy import Policy
from breezeblock.api.shown import Shown
from breezeblock.model.identity import Caller
from breezeblock.model.operation import Operation
from breezeblock.store.database import Store

#: The longest body that is read (the contract's osapi_max_request_body_size).
MAX_BODY = 114688


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of the configuration. `connect_seconds`: how long a call waits for the connection it asked for before it answers 504."""

    version: str = ""
    #: "" means the links in answers use the request's own scheme and host.
    public_endpoint: str = ""
    project_id_regex: str = r"[0-9a-f\-]+"
    max_limit: int = 1000
    max_body: int = MAX_BODY
    default_availability_zone: str = "nova"
    connect_seconds: float = 60.0
    #: this service's own host, for which /breezeblock/attach without a host works.
    host: str = ""
    agent: bool = True


async def _nobody_waits(operation_id: str, seconds: float) -> Operation | None:
    return None


async def _nothing_to_abandon(caller: Caller, operation_id: str) -> None:
    return None


async def _no_status() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`wait(operation_id, seconds)` answers when the operation has ended or the seconds are over, with what it is then; `changed` the
    same at the next change of its state. `cancel` asks for a cancel and raises Cancelled (409) past the pivot. `status` are the facts
    of the extension's status page. `background` keeps a coroutine alive that outlives its request."""

    store: Store
    authenticator: Authenticator
    facts: Facts = field(default_factory=Facts)
    policy: Policy = field(default_factory=Policy)
    wait: Callable[[str, float], Awaitable[Operation | None]] = _nobody_waits
    changed: Callable[[str, float], Awaitable[Operation | None]] = _nobody_waits
    cancel: Callable[[Caller, str], Awaitable[Operation]] | None = None
    #: nobody waits for this operation any more: it undoes, unless another request has joined it or it is past its pivot.
    abandon: Callable[[Caller, str], Awaitable[None]] = _nothing_to_abandon
    status: Callable[[], Awaitable[Mapping[str, Any]]] = _no_status
    shown: Shown = field(default_factory=Shown)
    #: False once the process stops: new work is refused with 503.
    accepting: Callable[[], bool] = lambda: True

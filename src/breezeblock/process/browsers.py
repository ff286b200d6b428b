# SPDX-License-Identifier: Apache-2.0
"""Without authentication everybody on this machine may call, and a browser is on this machine: any page that it shows could. So requests
that a page makes (they say their Origin), or that came by a name that is not this machine's (DNS rebinding), are refused. With a token
none of this is needed: no page knows it. Must never be the only protection of an address that others reach (config refuses that)."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

_LOCAL = re.compile(rb"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_REFUSAL = json.dumps(
    {
        "forbidden": {
            "code": 403,
            "message": "Without authentication only programs of this machine may call; needed a Host of this machine and no Origin; "
            "there was a browser's request. Set [auth] mode to 'local' to use the API from a page.",
        }
    }
).encode()


def refused(app: App) -> App:
    """The application, closed to pages."""

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _from_a_page(scope["headers"]):
            head = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSAL)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": head})
            await send({"type": "http.response.body", "body": _REFUSAL})
            return
        await app(scope, receive, send)

    return guarded


def _from_a_page(headers: list[tuple[bytes, bytes]]) -> bool:
    hosts = [value for name, value in headers if name == b"host"]
    return any(name == b"origin" for name, _ in headers) or not all(map(_LOCAL.fullmatch, hosts))

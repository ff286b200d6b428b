# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, as data and never kept in a file: it is made from the declarations that route and validate."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.route import PLAIN, route


@functools.lru_cache(maxsize=2)
def _encoded(version: str) -> bytes:
    from breezeblock.api import openapi, v3

    return msgspec.json.encode(openapi.document(v3.routes(), version))


@route("breezeblock.openapi", "GET /breezeblock/openapi.json", hop=PLAIN)
def show(call: Call) -> dict[str, Any]:
    """The OpenAPI 3.1 document of this service."""
    # Encoded once: it is the same for everybody.
    return msgspec.Raw(_encoded(call.services.facts.version))  # type: ignore[return-value]

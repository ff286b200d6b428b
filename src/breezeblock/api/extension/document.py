# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, as data and never kept in a file: it is made from the declarations that route and validate."""

from __future__ import annotations

from typing import Any

from breezeblock.api.call import Call
from breezeblock.api.route import PLAIN, route


@route("breezeblock.openapi", "GET /breezeblock/openapi.json", hop=PLAIN)
def show(call: Call) -> dict[str, Any]:
    """The OpenAPI 3.1 document of this service."""
    from breezeblock.api import openapi, v3

    return openapi.document(v3.routes(), call.services.facts.version)

# SPDX-License-Identifier: Apache-2.0
"""What this process and its backends are doing."""

from __future__ import annotations

from typing import Any

import msgspec

from breezeblock.api.call import Call
from breezeblock.api.route import ASYNC, route


class Answer(msgspec.Struct, frozen=True):
    status: dict[str, Any]


@route("breezeblock.status", "GET /breezeblock/status", hop=ASYNC, policy="breezeblock:status")
async def show(call: Call) -> Answer:
    """Version, roles, backends, pools, operations under way, warnings."""
    return Answer(dict(await call.services.status()))

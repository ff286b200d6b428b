# SPDX-License-Identifier: Apache-2.0
"""Who asks. Made by authentication, read by policy, carried into operations (never with the caller's token)."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    project_id: str
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    #: a service token with a service role came with the request.
    service: bool = False
    request_id: str = ""

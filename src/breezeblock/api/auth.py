# SPDX-License-Identifier: Apache-2.0
"""Who calls: a token becomes a Caller, or 401. Local tokens are compared in constant time and kept only as digests; no authentication
at all exists for loopback only (process refuses it elsewhere). Must never decide what the caller may do: that is policy."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Protocol

from breezeblock.model.errors import Unauthenticated
from breezeblock.model.identity import Caller

#: What an administrator's token carries once implied roles are expanded.
ADMIN_ROLES = frozenset({"admin", "member", "reader"})


class Authenticator(Protocol):
    async def authenticate(self, token: str | None, service_token: str | None) -> Caller:
        """Raises Unauthenticated. Called once per request, before anything else is looked at."""
        ...


class LocalTokens:
    """Fixed tokens of this installation, each with the caller it stands for."""

    __slots__ = ("_callers",)

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self._callers = tuple((_digest(token), caller) for token, caller in callers.items())

    async def authenticate(self, token: str | None, service_token: str | None) -> Caller:
        if token is None:
            raise Unauthenticated("The request carries no token")
        given, found = _digest(token), None
        for digest, caller in self._callers:  # no early end: the time says nothing about which one it was
            if hmac.compare_digest(given, digest):
                found = caller
        if found is None:
            raise Unauthenticated("The token is not known here")
        return found


class NoAuth:
    """Everybody is an administrator; the token may name who: 'user' or 'user:project'. For loopback and tests only."""

    __slots__ = ("_default",)

    def __init__(self, default: Caller) -> None:
        self._default = default

    async def authenticate(self, token: str | None, service_token: str | None) -> Caller:
        if not token:
            return self._default
        user, _, project = token.partition(":")
        return Caller(
            user_id=user or self._default.user_id,
            project_id=project or self._default.project_id,
            roles=ADMIN_ROLES,
            is_admin=True,
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()

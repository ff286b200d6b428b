# SPDX-License-Identifier: Apache-2.0
"""One request as a handler sees it: who asks, at which microversion, with which query. Handlers of one database hop may run twice
(a conflict), so what they leave here is assigned, never appended. Must never hold the caller's token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from breezeblock.api.services import Services
from breezeblock.model.errors import BadRequest
from breezeblock.model.identity import Caller

#: The response header that names the operation behind a 202.
OPERATION_HEADER = b"x-breezeblock-operation"


class Call:
    __slots__ = (
        "_query",
        "accepted",
        "beside",
        "caller",
        "headers",
        "host",
        "if_match",
        "operation_id",
        "path",
        "project_in_path",
        "query_string",
        "request_id",
        "scheme",
        "services",
        "version",
    )

    def __init__(
        self,
        services: Services,
        caller: Caller,
        version: int,
        *,
        request_id: str = "",
        path: str = "",
        query_string: bytes = b"",
        scheme: str = "http",
        host: str = "localhost",
        project_in_path: bool = False,
        if_match: str | None = None,
    ) -> None:
        self.services, self.caller, self.version = services, caller, version
        self.request_id, self.path, self.query_string = request_id, path, query_string
        self.scheme, self.host, self.project_in_path = scheme, host, project_in_path
        self.if_match = if_match
        #: sibling keys of the body's main key (scheduler hints), already validated.
        self.beside: dict[str, Any] = {}
        #: further response headers, by name.
        self.headers: dict[bytes, bytes] = {}
        #: the operation that this request submitted.
        self.operation_id: str | None = None
        #: status to answer with instead of the route's own.
        self.accepted: int | None = None
        self._query: dict[str, str] | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query string; of a repeated key the last value counts. Bytes that are not UTF-8 and NULs are refused."""
        if self._query is None:
            if not self.query_string:
                self._query = {}
            else:
                try:
                    pairs = parse_qsl(
                        self.query_string.decode("ascii"),
                        keep_blank_values=True,
                        errors="strict",
                        max_num_fields=100,
                    )
                except ValueError as error:
                    raise BadRequest("The query string is not valid UTF-8 or has too many fields") from error
                self._query = dict(pairs)
                if any("\x00" in key or "\x00" in value for key, value in pairs):
                    raise BadRequest("The query string holds a NUL character")
        return self._query

    @property
    def origin(self) -> str:
        return self.services.facts.public_endpoint.rstrip("/") or f"{self.scheme}://{self.host}"

    @property
    def project_part(self) -> str:
        """The project segment as links repeat it: only when the request's path had it."""
        return f"/{self.caller.project_id}" if self.project_in_path else ""

    @property
    def scope(self) -> str | None:
        """Whose single resources the caller may see: an administrator everybody's, others their project's."""
        return None if self.caller.is_admin else self.caller.project_id

    def allows(self, rule: str, project_id: str | None = None) -> bool:
        return self.services.policy.allows(rule, self.caller, project_id)

    def require(self, rule: str, project_id: str | None = None) -> None:
        self.services.policy.require(rule, self.caller, project_id)


def json_text(text: str) -> str:
    """A string as it stands inside JSON quotes, for bodies that are put together from text."""
    return msgspec.json.encode(text)[1:-1].decode()

# SPDX-License-Identifier: Apache-2.0
"""Errors as the contract's fault bodies, mapped in this one place. An exception that is not in the catalogue is logged with the
request id and answered without any of its text: the inside of the service never leaves through an error."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from breezeblock.model.errors import Error, OverQuota, Unsupported

log = logging.getLogger("breezeblock.api")

NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}
OTHER = "computeFault"

_UNEXPECTED = "The server met an unexpected error. Name the request id {} when you report it."


class MethodNotAllowed(Error):
    """The path exists, with other methods."""

    code, http = "request.method", 405
    summary = "The method is not allowed here."
    default_remedy = "The Allow header names the methods of this path."


class MediaType(Error):
    """The body is not JSON by its own account."""

    code, http = "request.media-type", 415
    summary = "The Content-Type is not supported."
    default_remedy = "Send the body as application/json."


class PreconditionFailed(Error):
    """If-Match did not match."""

    code, http = "request.if-match", 412
    summary = "The object has changed since it was read."
    default_remedy = "Read it again and decide anew."


class Fault(msgspec.Struct, frozen=True):
    """What goes over the wire for an error."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def of(error: BaseException, request_id: str, *, extended: bool = False) -> Fault:
    """`extended`: under the extension's prefix the whole catalogue entry goes out beside code and message."""
    if not isinstance(error, Error):
        log.error("%s failed unexpectedly", request_id, exc_info=error)
        return Fault(500, body(500, _UNEXPECTED.format(request_id)))
    # Asked for in a request, what a backend cannot do is refused before anything was tried.
    status = 400 if isinstance(error, Unsupported) else error.http
    if status >= 500:
        log.warning("%s: %s (%s)", request_id, error, error.code)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    more: dict[str, Any] = {}
    message = f"{error} {error.remedy}".strip()
    if isinstance(error, OverQuota):
        # Compliance suites tell a quota from a rate limit by Retry-After and the word.
        headers = ((b"retry-after", b"0"),)
        more["retryAfter"] = "0"
        if "exceed" not in message:
            message = f"Quota exceeded: {message}"
    elif isinstance(error, MethodNotAllowed):
        headers = ((b"allow", str(error.facts["allow"]).encode()),)
    elif status == 401:
        headers = ((b"www-authenticate", b'Keystone uri=""'),)
    if extended:
        more["error"] = error.describe()
    return Fault(status, body(status, message, **more), headers)


def body(status: int, message: str, **more: Any) -> bytes:
    return msgspec.json.encode({NAMES.get(status, OTHER): {"code": status, "message": message, **more}})

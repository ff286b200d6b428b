# SPDX-License-Identifier: Apache-2.0
"""Microversions: reading the request's header, saying which one was used. The major number is always 3, so a version is its minor
number (0..71) everywhere inside. Must never decide what a version means: routes and views say that themselves."""

from __future__ import annotations

import re

from breezeblock.model.errors import BadRequest, Refused

MIN, MAX = 0, 71
#: When the newest version was defined (part of the version documents).
UPDATED = "2023-08-31T00:00:00Z"

_NUMBER = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_SERVICE = "volume"

#: The answer's header for each version, encoded once.
HEADER = tuple((b"openstack-api-version", f"volume 3.{minor}".encode()) for minor in range(MAX + 1))
VARY = (b"vary", b"OpenStack-API-Version")


class NotAcceptable(Refused):
    """The version is well formed and not one of ours."""

    code, http = "request.version", 406
    summary = "The microversion is not supported."
    default_remedy = f"Ask for a version from 3.{MIN} to 3.{MAX}, or for 'volume latest'."


def text(minor: int) -> str:
    return f"3.{minor}"


def negotiate(header: str | None) -> int:
    """The version asked for: no header is 3.0; a comma separated list of services counts by its volume item."""
    if header is None:
        return MIN
    for item in header.split(","):
        service, _, version = item.strip().partition(" ")
        if service.lower() == _SERVICE:
            return _parse(version.strip())
    raise BadRequest(
        "The OpenStack-API-Version header names no volume version",
        needed="'volume X.Y' or 'volume latest'",
        had=repr(header[:80]),
        remedy="Send 'OpenStack-API-Version: volume 3.0' or no such header.",
    )


def _parse(version: str) -> int:
    if version == "latest":
        return MAX
    number = _NUMBER.fullmatch(version)
    if number is None:
        raise BadRequest(
            "The version in OpenStack-API-Version is not a number of the form X.Y",
            needed="MajorVersion.MinorVersion",
            had=repr(version[:80]),
        )
    major, minor = int(number[1]), int(number[2])
    if major != 3 or minor > MAX:
        raise NotAcceptable(
            f"Version {version} is not supported by the API. Minimum is 3.{MIN} and maximum is 3.{MAX}"
        )
    return minor

# SPDX-License-Identifier: Apache-2.0
"""What `breezeblock brick connect|disconnect|extend` does, as plain functions: connection info in, a Device out. For hosts without the
service too. Must never talk to the API, print, or parse a command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from breezeblock.brick.connector import Device, Identity
from breezeblock.brick.factory import connector_for, connectors
from breezeblock.brick.properties import connector_properties
from breezeblock.model import errors
from breezeblock.model.observation import Observation

#: What connectors take for names of files, exports and servers.
_TEXTS = ("device_path", "path", "format", "access_mode", "volume_id", "uri", "export", "identity")


def read_info(source: str) -> Mapping[str, Any]:
    """Connection info from a file, or from standard input ("-"). Taken as the service gives it: {"connection_info": ...}, an attachment,
    nested ({"driver_volume_type", "data"}) or flat (an attachment's, without "data")."""
    raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    try:
        return _plain(nested(msgspec.json.decode(raw)))
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise errors.Malformed(
            f"{source} is no JSON: {wrong}", needed="connection info as JSON", had=raw[:40]
        ) from wrong


def nested(given: Any) -> Mapping[str, Any]:
    """{"driver_volume_type", "data"} of any of the shapes that `read_info` takes."""
    while isinstance(given, dict) and "driver_volume_type" not in given:
        inner = given.get("attachment") or given.get("connection_info")
        if inner is None:
            break
        given = inner
    if not isinstance(given, dict) or "driver_volume_type" not in given:
        raise errors.BadRequest(
            "This is no connection info", needed="driver_volume_type", had=type(given).__name__
        )
    if "data" in given:
        return given
    return {
        "driver_volume_type": given["driver_volume_type"],
        "data": {k: v for k, v in given.items() if k != "driver_volume_type"},
    }


def _plain(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a person or another program wrote, as connectors may take it: texts are texts, addresses can be read."""
    data = info["data"]
    wrong = "" if isinstance(data, dict) else f"data is no object: {data!r}"
    for key in _TEXTS if not wrong else ():
        value = data.get(key)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            wrong = f"{key} is no text: {value!r}"
    if not wrong and type(data.get("size")) not in (int, type(None)):
        wrong = f"size is no number of bytes: {data['size']!r}"
    if not wrong and data.get("uri"):
        try:
            urlsplit(data["uri"]).port  # noqa: B018 (reading it is the check)
        except ValueError as unread:
            wrong = f"uri cannot be read: {unread}"
    if wrong:
        raise errors.BadRequest("The connection info is damaged", needed="what a service gave", had=wrong)
    return info


def connect(
    info: Mapping[str, Any],
    *,
    state: Path,
    volume_id: str = "",
    size: int | None = None,
    certificates: Path | None = None,
) -> Device:
    """`volume_id` and `size` (bytes): what the caller knows; by default what the connection info says."""
    data = info["data"]
    known = data.get("size") if size is None else size
    expect = Identity(
        volume_id=volume_id or str(data.get("volume_id", "")), size=int(known) if known is not None else None
    )
    return connector_for(info, connectors(state, nbd_certificates=certificates)).connect_volume(info, expect)


def disconnect(
    info: Mapping[str, Any],
    *,
    state: Path,
    device: Device | None = None,
    force: bool = False,
    certificates: Path | None = None,
) -> None:
    connector_for(info, connectors(state, nbd_certificates=certificates)).disconnect_volume(
        info, device, force=force
    )


def extend(info: Mapping[str, Any], *, state: Path, certificates: Path | None = None) -> int:
    """The device's size in bytes, after it has seen its volume's."""
    return connector_for(info, connectors(state, nbd_certificates=certificates)).extend_volume(info)


def observe(info: Mapping[str, Any], *, state: Path, certificates: Path | None = None) -> Observation[Device]:
    return connector_for(info, connectors(state, nbd_certificates=certificates)).observe(info)


def properties(*, state: Path, my_ip: str, host: str | None = None) -> Mapping[str, Any]:
    return connector_properties(connectors(state), state, my_ip=my_ip, host=host)

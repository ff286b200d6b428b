# SPDX-License-Identifier: Apache-2.0
"""What this host tells the service about itself before it connects a volume: the connector properties that clients of the Block Storage
API know, and this product's own facts under "breezeblock". Reads only, except for the machine id it keeps where the system has none."""

from __future__ import annotations

import os
import platform
import socket
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from breezeblock.brick.connector import Connector
from breezeblock.host import processes

_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_INITIATOR = Path("/etc/iscsi/initiatorname.iscsi")


def connector_properties(
    connectors: Iterable[Connector],
    state: Path,
    *,
    my_ip: str,
    host: str | None = None,
    multipath: bool = False,
    enforce_multipath: bool = False,
) -> Mapping[str, Any]:
    """`multipath` is what the caller wants; it is lowered, as there is no multipath here yet, unless it is enforced."""
    own: dict[str, Any] = {
        "boot_id": processes.boot_id(),
        "machine_id": machine_id(state),
        "root": os.geteuid() == 0,
    }
    for connector in connectors:
        own |= connector.properties()
    known: dict[str, Any] = {
        "platform": platform.machine(),
        "os_type": sys.platform,
        "ip": my_ip,
        "host": host or socket.gethostname(),
        "multipath": multipath and enforce_multipath,
        "enforce_multipath": enforce_multipath,
        "do_local_attach": False,
    }
    initiator = _initiator()
    return known | ({"initiator": initiator} if initiator else {}) | {"breezeblock": own}


def machine_id(state: Path) -> str:
    """Tells this machine from every other, also when two have the same name. Systems without one get their own, kept in `state`."""
    kept = state / "machine-id"
    for place in (*_MACHINE_IDS, kept):
        try:
            text = place.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text:
            return text
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = state / f".machine-id.{os.getpid()}"
    fresh.write_text(uuid.uuid4().hex + "\n", encoding="ascii")
    try:
        kept.hardlink_to(fresh)
    except FileExistsError:
        pass  # another process was first: its answer counts
    fresh.unlink()
    return kept.read_text(encoding="ascii").strip()


def _initiator() -> str:
    """The iSCSI initiator's name; absent (or not readable by this user) is usual."""
    try:
        lines = _INITIATOR.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2].strip() for line in lines if line.startswith("InitiatorName=")), "")

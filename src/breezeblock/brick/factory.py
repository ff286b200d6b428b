# SPDX-License-Identifier: Apache-2.0
"""Which connector serves which driver_volume_type on this host. A new protocol is one line here and one file beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from breezeblock.brick.connector import Connector
from breezeblock.brick.local import LocalConnector
from breezeblock.brick.nbd import NbdConnector
from breezeblock.model import errors


def connectors(state: Path, *, nbd_certificates: Path | None = None) -> Sequence[Connector]:
    """Every connector of this host. `state`: a private folder that outlives this process (not the host: after a boot it is stale, and
    the connectors see that)."""
    return (LocalConnector(state), NbdConnector(state, certificates=nbd_certificates))


def connector_for(info: Mapping[str, Any], available: Sequence[Connector]) -> Connector:
    protocol = str(info.get("driver_volume_type", "")).lower()
    for connector in available:
        if protocol in connector.protocols:
            return connector
    known = sorted(name for connector in available for name in connector.protocols)
    raise errors.Unsupported(
        f"This host cannot connect a volume of the type {protocol!r}",
        needed=" or ".join(known),
        had=protocol or "no driver_volume_type",
        remedy="Connect it on a host that can, or choose a volume type whose backend exports by one of these.",
    )

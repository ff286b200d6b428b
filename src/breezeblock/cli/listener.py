# SPDX-License-Identifier: Apache-2.0
"""Whose service answers at a loopback address. The token in admin.json outlives the service, and a port that is free may be taken by any
user of the machine: he would be told the token at the next command, and could hand root devices of his own. Must never connect."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from breezeblock.cli.exits import UNREACHABLE, Ended

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: proc(5): columns of /proc/net/tcp, and the state LISTEN.
_LOCAL, _STATE, _UID, _LISTEN = 1, 3, 7, "0A"


def require_owner(endpoint: str, trusted: Collection[int], *, tables: Path = Path("/proc/net")) -> bool:
    """Raises Ended when somebody else listens there. False when nobody does: before connecting that is for the connection to find out;
    afterwards whoever took it has hidden, or is gone."""
    url = urlsplit(endpoint)
    if url.hostname not in _LOOPBACK or url.port is None:
        return True
    found = set(_listening(url.port, tables))
    strangers = sorted(found - set(trusted))
    if strangers:
        raise Ended(
            UNREACHABLE,
            f"another user's program listens at {endpoint}; nothing was sent to it",
            code="unreachable.stranger",
            needed=f"a service of uid {' or '.join(map(str, sorted(trusted)))}",
            had=f"uid {', '.join(map(str, strangers))}",
            remedy="Start your service at another port: 'breezeblock serve --listen 127.0.0.1:PORT'.",
        )
    return bool(found)


def _listening(port: int, tables: Path) -> Iterator[int]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (tables / table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[_STATE] == _LISTEN and int(fields[_LOCAL].rpartition(":")[2], 16) == port:
                    yield int(fields[_UID])

# SPDX-License-Identifier: Apache-2.0
"""The door to the network of an NBD export: a second storage daemon that passes the export's unix socket on by TCP, with TLS when there
are certificates. Owns its address, its port and its start. Must never listen without a remote host having been admitted, and never close
under a client."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from breezeblock.host import processes, sockets, storage_daemon
from breezeblock.host.storage_daemon import Daemon, TcpDoor, UnixDoor
from breezeblock.model import errors
from breezeblock.targets.target import Session


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """Where relays listen for other hosts. `ports`: first and last; each remote export takes one. `certificates`: a folder with
    ca-cert.pem, server-cert.pem and server-key.pem; None sends volumes in the clear."""

    address: str
    ports: tuple[int, int]
    certificates: str | None = None
    #: the name that clients check in the server's certificate; None: the address.
    hostname: str | None = None


def opened(
    listen: Listen,
    source: Daemon,
    before: Daemon | None,
    taken: Collection[int],
    intend: Callable[[Daemon], None],
) -> Daemon:
    """A relay of `source` that runs: `before` where it still does, else a new one at the same port. The clients of a dead relay find the
    new one; those of a dead daemon do not (see nbd.py, instances).
    `intend` stores what is about to be started. `taken`: ports of other exports, in use or promised."""
    door = source.door
    assert isinstance(door, UnixDoor)
    if before is not None:
        assert isinstance(before.door, TcpDoor)
        if before.door.name == door.name and storage_daemon.stands(before):
            return before
        storage_daemon.stop(before)
    port = (
        before.door.port
        if before is not None and isinstance(before.door, TcpDoor)
        else _free_port(listen, taken)
    )
    relay = Daemon(
        token=processes.new_token(),
        folder=source.folder,
        monitor=source.monitor.removesuffix("monitor") + "relay",
        log="relay.log",
        door=TcpDoor(
            host=listen.address,
            port=port,
            name=door.name,
            description=door.description,
            certificates=listen.certificates,
            writable=door.writable,
        ),
    )
    intend(relay)
    node = storage_daemon.relay_node(door.path, door.name, writable=door.writable)
    return storage_daemon.start(relay, node)


def closed(relay: Daemon) -> None:
    """End it. Raises Busy while a client is connected."""
    storage_daemon.close_door(relay)
    storage_daemon.stop(relay)


def sessions(relay: Daemon) -> Sequence[Session]:
    if not storage_daemon.runs(relay):
        return []
    return [
        Session(name, "tcp")
        for name in sorted({client.name for client in sockets.tcp_clients(port_of(relay))})
    ]


def port_of(relay: Daemon) -> int:
    assert isinstance(relay.door, TcpDoor)
    return relay.door.port


def connection(listen: Listen, relay: Daemon) -> Mapping[str, Any]:
    """uri and the facts about TLS, for connection info."""
    door = relay.door
    assert isinstance(door, TcpDoor)
    address = f"[{door.host}]" if ":" in door.host else door.host
    secure = door.certificates is not None
    found: dict[str, Any] = {
        "uri": f"{'nbds' if secure else 'nbd'}://{address}:{door.port}/{quote(door.name)}",
        "tls": secure,
    }
    if secure and listen.hostname:
        found["tls_hostname"] = listen.hostname
    return found


def _free_port(listen: Listen, taken: Collection[int]) -> int:
    first, last = listen.ports
    for port in range(first, last + 1):
        if port not in taken and sockets.tcp_port_free(listen.address, port):
            return port
    raise errors.NoSpace(
        "No port is free for another remote export",
        needed="1 port",
        had=f"0 of {last - first + 1} ({first} to {last})",
        remedy="Configure a wider range of ports.",
    )

# SPDX-License-Identifier: Apache-2.0
"""Who is connected to a socket of this host, as the kernel sees it: the truth about an exporter's sessions. Changes nothing."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

_SOCK_DIAG, _BY_FAMILY = 4, 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_SHOW_NAME, _SHOW_PEER = 1, 4
_NAME, _PEER = 0, 2
_ESTABLISHED, _LISTEN = 1, 10


class Client(msgspec.Struct, frozen=True):
    """One connection's other end. `pid` is 0 where it cannot be told (another host, another user's process)."""

    name: str
    pid: int = 0


def unix_clients(path: str) -> Sequence[Client]:
    """Processes whose connection to the listening socket at `path` was accepted, and who have not closed it (no inode then)."""
    found = [(peer, _owner(peer)) for peer in _peers(path)]
    if not all(pid for _, pid in found):
        still = set(_peers(path))  # an owner that cannot be seen may just have ended
        found = [(peer, pid) for peer, pid in found if pid or peer in still]
    return [
        Client(f"{comm(pid)} (pid {pid})" if pid else "a process of another user", pid) for _, pid in found
    ]


def is_connected(path: str, pid: int) -> bool:
    """Whether the process `pid` is connected to the socket at `path`."""
    return not {f"socket:[{peer}]" for peer in _peers(path)}.isdisjoint(open_files(pid))


def _peers(path: str) -> Sequence[int]:
    return [peer for name, state, peer in _unix_sockets() if name == path and state == _ESTABLISHED and peer]


def tcp_clients(port: int) -> Sequence[Client]:
    """Addresses connected to the local TCP port, as "address:port"."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            _, local, remote, state = line.split()[:4]
            if state == "01" and int(local.split(":")[1], 16) == port:
                found.append(Client(_address(remote)))
    return found


def tcp_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as taken:
            if taken.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _unix_sockets() -> Iterator[tuple[str, int, int]]:
    """(name, state, peer's inode) of every unix socket, from the kernel's socket diagnosis."""
    request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_NAME | _SHOW_PEER, 0, 0)
    head = struct.pack("=IHHII", 16 + len(request), _BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as diagnosis:
        diagnosis.settimeout(5.0)
        diagnosis.send(head + request)
        while True:
            answer, at = diagnosis.recv(1 << 20), 0
            while at + 16 <= len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(
                        -struct.unpack_from("=i", answer, at + 16)[0],
                        "the kernel refuses to list unix sockets",
                    )
                yield _unix_message(answer[at + 16 : at + length])
                at += (length + 3) & ~3


def _unix_message(message: bytes) -> tuple[str, int, int]:
    state, at, name, peer = message[2], 16, "", 0
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        value = message[at + 4 : at + length]
        if kind == _NAME:
            name = os.fsdecode(value.rstrip(b"\0"))
        elif kind == _PEER:
            peer = struct.unpack("=I", value)[0]
        at += max(4, (length + 3) & ~3)
    return name, state, peer


def _owner(inode: int) -> int:
    """The pid of a process that holds the socket; 0 when none can be seen."""
    wanted = f"socket:[{inode}]"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        if wanted in open_files(int(entry.name)):
            return int(entry.name)
    return 0


def open_files(pid: int) -> Sequence[str]:
    """What a process holds open, as the kernel names it (paths, "socket:[inode]"); empty where it may not be seen."""
    held = []
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                held.append(str(fd.readlink()))
    return held


def comm(pid: int) -> str:
    """A process' name, for people."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process that just ended"


def _address(text: str) -> str:
    """The kernel's hexadecimal address (32-bit words in host order) for people."""
    raw, port = text.split(":")
    words = b"".join(struct.pack("=I", int(raw[at : at + 8], 16)) for at in range(0, len(raw), 8))
    address = ipaddress.ip_address(words)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    shown = mapped or address
    return f"[{shown}]:{int(port, 16)}" if shown.version == 6 else f"{shown}:{int(port, 16)}"

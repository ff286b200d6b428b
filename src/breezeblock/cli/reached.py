# SPDX-License-Identifier: Apache-2.0
"""A volume's bytes in reach of this user's own programs: an attachment with a user-space connector for as long as a `with` block lasts,
given back whatever happens. The bytes themselves never pass through Python, the service, or anybody else's rights."""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from breezeblock.cli.client import Client, Unreachable
from breezeblock.cli.exits import Ended, refused
from breezeblock.cli.wait import AWAY_SECONDS


#: What this side is, in the contract's words; `user_space` asks for an export that needs no device and no root.
def connector(mode: str) -> dict[str, Any]:
    return {
        "platform": platform.machine(),
        "os_type": sys.platform,
        "host": socket.gethostname(),
        "ip": "127.0.0.1",
        "multipath": False,
        "enforce_multipath": False,
        "do_local_attach": False,
        "user_space": True,
        "mountpoint": "na",
        "mode": mode,
    }


@contextmanager
def reached(client: Client, volume: str, mode: str) -> Iterator[str]:
    """An image specification for qemu's programs ('json:{...}': its format is stated, so nothing is ever probed)."""
    wanted = {"volume_uuid": volume, "connector": connector(mode), "mode": mode}
    attachment = client.post("/attachments", {"attachment": wanted}).body["attachment"]
    ident = str(attachment["id"])
    try:
        info = attachment.get("connection_info") or {}
        client.act("attachments", ident, "os-complete")
        yield specification(info, writable=mode == "rw")
    except BaseException:
        # The first reason is the one to hear about; the attachment goes as well as it can.
        try:
            client.delete(f"/attachments/{ident}")
        except Ended:
            pass
        raise
    _give_back(client, ident)


def _give_back(client: Client, ident: str) -> None:
    """The bytes are whole by now: a restart of the service costs them no more than it costs a wait. Asking twice is harmless here."""
    deadline, again = time.monotonic() + AWAY_SECONDS, False
    while True:
        try:
            client.delete(f"/attachments/{ident}")
        except Unreachable:
            if time.monotonic() >= deadline:
                raise
            again = True
            time.sleep(0.2)
            continue
        except Ended as why:
            if not (again and why.code in ("http.404", "not-found")):
                raise
        return


def specification(info: Mapping[str, Any], *, writable: bool) -> str:
    """From a connection info, flat or nested, to qemu's words for it."""
    data: Mapping[str, Any] = info.get("data") or info
    kind = str(info.get("driver_volume_type") or "nothing")
    if data.get("uri"):
        return spell({"driver": "raw", "file": nbd(str(data["uri"]))})
    path = data.get("device_path")
    if kind == "local" and path and os.access(path, os.R_OK | (os.W_OK if writable else 0)):
        return spell({"driver": "raw", "file": {"driver": "host_device", "filename": path}})
    raise refused(
        "the volume cannot be reached by this user's programs",
        code="image.unreachable",
        needed="an NBD URI, or a device that this user may open",
        had=f"a connection of type '{kind}'" + (f" at {path}" if path else ""),
        remedy="Run the command as root on the service's host, or configure the nbd target.",
    )


def nbd(uri: str) -> dict[str, Any]:
    """An NBD URI (nbd+unix:///NAME?socket=PATH or nbd://HOST:PORT/NAME) as options of qemu's nbd driver."""
    url = urlsplit(uri)
    export = unquote(url.path.removeprefix("/"))
    if url.scheme == "nbd+unix":
        server = {"type": "unix", "path": parse_qs(url.query)["socket"][0]}
    elif url.scheme == "nbd" and url.hostname:
        server = {"type": "inet", "host": url.hostname, "port": str(url.port or 10809)}
    else:
        raise refused(
            f"no program here speaks {url.scheme}",
            code="image.unreachable",
            needed="an nbd or nbd+unix URI",
            had=url.scheme,
            remedy="Run the command on the service's host, where the export needs no TLS.",
        )
    return {"driver": "nbd", "server": server, "export": export}


def file(descriptor: int, fmt: str) -> str:
    """The image file that this descriptor has open, for a program that gets it. No backing file, whatever its header says."""
    node: dict[str, Any] = {"driver": fmt, "file": {"driver": "file", "filename": f"/dev/fd/{descriptor}"}}
    if fmt == "qcow2":
        node["backing"] = None
    return spell(node)


def spell(node: Mapping[str, Any]) -> str:
    return "json:" + json.dumps(node, separators=(",", ":"))

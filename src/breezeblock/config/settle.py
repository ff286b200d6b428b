# SPDX-License-Identifier: Apache-2.0
"""Rules that take more than one setting: defaults that follow from others, and combinations that are refused because they would lose a
lease, share a folder, or open the service to strangers. Must never weaken a setting silently: it refuses with the reason."""

from __future__ import annotations

import ipaddress
import math
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from breezeblock.config.errors import BadConfiguration
from breezeblock.config.sections import UNSET, Backend, Config
from breezeblock.model.secret import Secret


def user_folder(environ: Mapping[str, str]) -> Path | None:
    """The home of the user that the process runs as: HOME, else what the user database says."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return None


def settle(config: Config, environ: Mapping[str, str], home: Path | None) -> Config:
    """Fills in what depends on the data folder. BREEZEBLOCK_DATA has been read as [data] folder."""
    folder = config.data.folder
    if folder == UNSET:
        folder = _usual_folder(environ, home)
    database = config.database
    if not database.url.reveal():
        database = replace(database, url=Secret(f"sqlite:///{folder / 'breezeblock.sqlite'}"))
    backends = config.backends or (Backend(name="local"),)
    return replace(
        config,
        data=replace(config.data, folder=folder),
        database=database,
        backends=tuple(_placed(backend, folder) for backend in backends),
    )


def _usual_folder(environ: Mapping[str, str], home: Path | None) -> Path:
    shared = Path(environ.get("XDG_DATA_HOME") or "")
    if shared.is_absolute():  # the XDG rules: a relative one is to be ignored
        return shared / "breezeblock"
    if home is None:
        raise BadConfiguration(
            "there is no place for the data: this user has no home",
            needed="BREEZEBLOCK_DATA, XDG_DATA_HOME or HOME",
            had="none of them",
            remedy="Set BREEZEBLOCK_DATA to a folder and start again.",
        )
    return home / ".local" / "share" / "breezeblock"


def _placed(backend: Backend, data: Path) -> Backend:
    """Not by position or number: a second backend must not move the first one's folder."""
    if backend.folder != UNSET:
        return backend
    return replace(
        backend, folder=data / ("volumes" if backend.name == "local" else f"volumes-{backend.name}")
    )


def refuse_unsafe(config: Config) -> None:
    """Raises BadConfiguration. Each rule has its reason in its message."""
    _leases(config)
    _callers(config)
    _exports(config)
    _folders(config.backends)
    for name, multiplier in config.scheduler.multipliers.items():
        if not math.isfinite(multiplier):
            raise BadConfiguration(
                f"[scheduler] the multiplier of {name} is no number", needed="a number", had=multiplier
            )
    if not config.roles.start:
        raise BadConfiguration(
            "[roles] start is empty, so there is nothing to do", needed="at least one role", had="none"
        )


def _leases(config: Config) -> None:
    lease, renew = config.engine.lease_seconds, config.engine.renew_seconds
    if renew * 2 > lease:
        raise BadConfiguration(
            "[engine] claims would end before a late renewal",
            needed=f"renew_seconds of at most {lease // 2}, half of lease_seconds {lease}",
            had=f"renew_seconds {renew}",
        )


def _callers(config: Config) -> None:
    host, mode = config.server.host, config.auth.mode
    if is_loopback(host):
        return
    if mode == "none":
        raise BadConfiguration(
            f"[server] host {host} can be reached by others, and [auth] mode 'none' would let all of them in",
            needed="a loopback address, or real authentication",
            had=f"host {host}, mode none",
            remedy="Listen on 127.0.0.1, or set [auth] mode to 'local' with TLS in front and [server] behind_tls = true.",
        )
    if not config.server.behind_tls:
        raise BadConfiguration(
            f"[server] host {host} can be reached by others, and the administrator's token would travel in the clear",
            needed="a loopback address, or TLS in front of the service",
            had=f"host {host}, mode {mode}, behind_tls false",
            remedy="Listen on 127.0.0.1, or put a proxy that ends TLS in front and set [server] behind_tls = true.",
        )


def is_loopback(host: str) -> bool:
    """A name other than localhost is not: what it means is decided elsewhere, and later."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _exports(config: Config) -> None:
    nbd = config.nbd
    if nbd.port_last < nbd.port_first:
        had = f"{nbd.port_first} to {nbd.port_last}"
        raise BadConfiguration("[nbd] has no ports", needed="port_first of at most port_last", had=had)
    # Loopback too: the other users of this machine reach it, and everything else of a volume is closed to them.
    if nbd.tcp_listen and nbd.tls_folder == UNSET and not nbd.in_the_clear:
        raise BadConfiguration(
            f"[nbd] tcp_listen {nbd.tcp_listen} without TLS would let everybody who reaches the port read and write volumes",
            needed="tls_folder with certificates",
            had="none",
            remedy="Set [nbd] tls_folder; or in_the_clear = true, on a network where only your hosts are.",
        )


def _folders(backends: tuple[Backend, ...]) -> None:
    for position, one in enumerate(backends):
        for other in backends[:position]:
            if one.name == other.name:
                raise BadConfiguration(
                    f"two [[backends]] are named '{one.name}'", needed="a name of its own for each"
                )
            a, b = Path(os.path.normpath(one.folder)), Path(os.path.normpath(other.folder))
            if a.is_relative_to(b) or b.is_relative_to(a):
                raise BadConfiguration(
                    f"the [[backends]] '{other.name}' and '{one.name}' would mix their volumes",
                    needed="a folder of its own for each, none inside another",
                    had=f"{b} and {a}",
                )

# SPDX-License-Identifier: Apache-2.0
"""What this machine can do, asked by tests before they begin: a program, root, a kernel feature. It answers None, or the
reason that a skip shows. It must never install, start or change anything."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.lab.databases import mariadb_binaries, postgresql_binaries

CHECKOUT = Path(__file__).resolve().parents[2]
CLIENTS = CHECKOUT / ".venv-clients" / "bin"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "needs root, this user is not"


def _loop() -> str | None:
    usable = os.access("/dev/loop-control", os.R_OK | os.W_OK)
    return None if usable else "needs loop devices: /dev/loop-control is not writable here"


def _fuse() -> str | None:
    return None if os.access("/dev/fuse", os.R_OK | os.W_OK) else "needs FUSE: /dev/fuse is not writable here"


def _kernel_nbd() -> str | None:
    return (
        None if Path("/sys/module/nbd").is_dir() else "needs the kernel's nbd: the module is not loaded here"
    )


def _postgresql() -> str | None:
    return None if postgresql_binaries() else "needs PostgreSQL's server (Debian: postgresql)"


def _mariadb() -> str | None:
    return None if mariadb_binaries() else "needs MariaDB's server (Debian: mariadb-server)"


def _clients() -> str | None:
    return None if (CLIENTS / "openstack").exists() else "needs the OpenStack clients: run ./dev setup"


_FEATURES: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "loop": _loop,
    "fuse": _fuse,
    "kernel-nbd": _kernel_nbd,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "clients": _clients,
}


@functools.cache
def missing(wanted: str) -> str | None:
    """Why `wanted` (a feature named above, or else a program) cannot be used here; None when it can."""
    if wanted in _FEATURES:
        return _FEATURES[wanted]()
    found = shutil.which(wanted, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return None if found else f"needs the program {wanted}, which is not installed"

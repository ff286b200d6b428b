# SPDX-License-Identifier: Apache-2.0
"""The backends of this process: a driver with its targets each, started in a thread of its own, reported as pools. A backend that does not
start is down with its reason and tried again; it never keeps the others or the API from starting."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from breezeblock.config.sections import UNSET, Config
from breezeblock.config.sections import Backend as Settings
from breezeblock.drivers.driver import Driver
from breezeblock.drivers.file.driver import FileDriver
from breezeblock.image.inspector import inspect
from breezeblock.model.errors import Error
from breezeblock.store import pools as pool_rows
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx
from breezeblock.targets.local import LocalTarget
from breezeblock.targets.nbd import NbdTarget
from breezeblock.targets.relay import Listen
from breezeblock.targets.target import Target

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunningBackend:
    """Satisfies operations' Backend once `ready`. `reason`: why it cannot be used now; "" when it can."""

    id: str
    settings: Settings
    host: str
    driver: Driver
    targets: Mapping[str, Target]
    ready: bool = False
    reason: str = "starting"
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def queue(self) -> str:
        return (
            f"backend/{self.id}@{self.host}" if self.driver.capabilities.host_bound else f"backend/{self.id}"
        )


def build(
    config: Config, settings: Settings, id: str, host: str, run: Path, *, holds_volumes: bool = False
) -> RunningBackend:
    """Composition only: nothing is touched before start."""
    driver = FileDriver(
        settings.folder,
        pool_name=settings.name,
        backend_id=id,
        keep_free=settings.keep_free_bytes,
        max_over_subscription_ratio=settings.max_over_subscription_ratio,
        inspect=inspect,
        made_before=holds_volumes,
    )
    return RunningBackend(id, settings, host, driver, _targets(config, settings, host, run / settings.name))


def _targets(config: Config, settings: Settings, host: str, run: Path) -> Mapping[str, Target]:
    """In the order of preference. A plain loop device needs root; everything else goes by NBD."""
    nbd = config.nbd
    listen = None
    if nbd.tcp_listen:
        listen = Listen(
            address=nbd.tcp_listen,
            ports=(nbd.port_first, nbd.port_last),
            certificates=None if nbd.tls_folder == UNSET else str(nbd.tls_folder),
            hostname=nbd.tls_hostname or None,
        )
    found: dict[str, Target] = {}
    if settings.target == "local" or (settings.target == "auto" and os.geteuid() == 0):
        found["local"] = LocalTarget(run, host=host)
    if settings.target in ("auto", "nbd"):
        found["nbd"] = NbdTarget(run, listen=listen, host=host)
    return found


def start(backend: RunningBackend, store: Store) -> bool:
    """Start driver and targets and register the row. False (with the reason stored) when it cannot be used now. A slow start is not begun
    again beside itself: two would recover the same folder and adopt the same exporters."""
    if not backend.lock.acquire(blocking=False):
        return False
    try:
        return backend.ready or _start(backend, store)
    finally:
        backend.lock.release()


def _start(backend: RunningBackend, store: Store) -> bool:
    try:
        backend.driver.start()
        for target in backend.targets.values():
            target.start()
    except Error as error:
        _failed(backend, store, str(error) + " " + error.remedy)
        return False
    except Exception as error:
        log.exception("backend %s did not start", backend.name)
        _failed(backend, store, f"{type(error).__name__}: {error}")
        return False
    capabilities = msgspec.to_builtins(backend.driver.capabilities)
    capabilities["online_extend"] = _grows_attached(backend)
    capabilities["targets"] = {
        name: msgspec.to_builtins(target.capabilities) for name, target in backend.targets.items()
    }
    _register(backend, store, "up", "", capabilities)
    report(backend, store)
    backend.ready = True
    return True


def _grows_attached(backend: RunningBackend) -> bool:
    """Whether some export of this backend can grow in use; which one made a volume's export decides for that volume."""
    live = any(target.capabilities.live_resize for target in backend.targets.values())
    return bool(backend.driver.capabilities.online_extend and live)


def _failed(backend: RunningBackend, store: Store, reason: str) -> None:
    log.warning("backend %s is down: %s", backend.name, reason)
    backend.ready, backend.reason = False, reason
    _register(backend, store, "down", reason, msgspec.to_builtins(backend.driver.capabilities))


def _register(
    backend: RunningBackend, store: Store, state: str, reason: str, capabilities: Mapping[str, object]
) -> None:
    row = {
        "id": backend.id,
        "name": backend.name,
        "host": backend.host,
        "driver": backend.settings.driver,
        "availability_zone": backend.settings.availability_zone,
        "host_bound": backend.driver.capabilities.host_bound,
        "capabilities": msgspec.json.encode(capabilities).decode(),
        "state": state,
        "reason": reason,
    }

    def write(tx: Tx) -> None:
        pool_rows.register(tx, row)

    store.write_sync(write)


def report(backend: RunningBackend, store: Store) -> None:
    """Sample the pools and store the report. The sample's instant is the database's, taken before measuring."""
    sampled_us = store.read_sync(lambda tx: tx.now_us())
    settings = backend.settings
    reports: list[tuple[str, Mapping[str, object], int]] = []
    for pool in backend.driver.pools():
        body = msgspec.to_builtins(pool)
        body["reserved_percentage"] = settings.reserved_percentage
        body["filter_function"], body["goodness_function"] = (
            settings.filter_function or None,
            settings.goodness_function or None,
        )
        body["capabilities"] |= {
            "online_extend": _grows_attached(backend),
            "volume_backend_name": backend.name,
            "vendor_name": "Open Source",
            "driver_version": "1.0",
            "thin_provisioning_support": pool.capabilities.thin,
            "thick_provisioning_support": not pool.capabilities.thin,
            **settings.capabilities,
        }
        reports.append((pool.name, body, sampled_us))

    def write(tx: Tx) -> None:
        pool_rows.report(tx, backend.id, reports)
        pool_rows.write_backend(tx, backend.id, state="up", reason="")

    store.write_sync(write)
    backend.reason = ""


def mark_silent(backend: RunningBackend, store: Store, reason: str) -> None:
    """It has started and does not answer now: nothing new is placed there until it reports again; what it holds waits."""
    backend.reason = reason
    store.write_sync(lambda tx: pool_rows.write_backend(tx, backend.id, state="down", reason=reason))


def by_queue(backends: Sequence[RunningBackend]) -> list[str]:
    return [backend.queue for backend in backends if backend.ready]

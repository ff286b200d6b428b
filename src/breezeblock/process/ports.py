# SPDX-License-Identifier: Apache-2.0
"""The ports that operations get: this process' backends, connectors and facts of this host. Satisfies operations.ports.Ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from breezeblock.brick.connector import Connector
from breezeblock.brick.factory import connector_for
from breezeblock.brick.properties import connector_properties
from breezeblock.host import processes
from breezeblock.process.backends import RunningBackend
from breezeblock.scheduler.policy import Policy
from breezeblock.store.database import Store
from breezeblock.store.transaction import Tx

T = TypeVar("T")


class ProcessPorts:
    def __init__(
        self,
        store: Store,
        backends: Sequence[RunningBackend],
        connectors: Sequence[Connector],
        policy: Policy,
        *,
        host: str,
        state: Path,
    ) -> None:
        self._store, self._backends, self._connectors = store, {b.id: b for b in backends}, connectors
        self._policy, self._host, self._state = policy, host, state
        self._boot_id = processes.boot_id()

    @property
    def policy(self) -> Policy:
        return self._policy

    @property
    def host(self) -> str:
        return self._host

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def backend(self, id: str) -> RunningBackend | None:
        found = self._backends.get(id)
        return found if found is not None and found.ready else None

    def connector(self, protocol: str) -> Connector:
        return connector_for({"driver_volume_type": protocol}, self._connectors)

    def connector_properties(self) -> Mapping[str, Any]:
        return connector_properties(self._connectors, self._state, my_ip="127.0.0.1", host=self._host)

    def read(self, fn: Callable[[Tx], T]) -> T:
        return self._store.read_sync(fn)

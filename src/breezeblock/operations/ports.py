# SPDX-License-Identifier: Apache-2.0
"""What operations reach the outside by: Protocols of drivers, targets and connectors, given by the composition root. Also how a task finds
the right one. Must never import an implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from breezeblock.brick.connector import Connector
from breezeblock.drivers.driver import Driver, Kind, Object
from breezeblock.model.errors import Unreachable, Unsupported
from breezeblock.model.reach import Live, Reach
from breezeblock.scheduler.policy import Policy
from breezeblock.store.transaction import Tx
from breezeblock.targets.target import Export, Target

T = TypeVar("T")


class Backend(Protocol):
    """A storage backend of this process."""

    @property
    def id(self) -> str: ...
    @property
    def driver(self) -> Driver: ...
    @property
    def targets(self) -> Mapping[str, Target]:
        """By name, in the order of preference."""
        ...


class Ports(Protocol):
    """Everything outside the database that tasks may touch."""

    @property
    def policy(self) -> Policy: ...
    @property
    def host(self) -> str:
        """This host's name, as agents know it."""
        ...
    @property
    def boot_id(self) -> str: ...
    def backend(self, id: str) -> Backend | None: ...
    def connector(self, protocol: str) -> Connector: ...
    def connector_properties(self) -> Mapping[str, Any]: ...
    def read(self, fn: Callable[[Tx], T]) -> T:
        """A read transaction, for what a task needs to know beyond its arguments."""
        ...


class Exported(msgspec.Struct, frozen=True):
    """An export as stored with an attachment: which target of the backend made it, and its Export."""

    target: str
    export: Export


def backend(ports: Ports, id: str) -> Backend:
    """Raises Unreachable (transient): another process may have it, or it is starting."""
    found = ports.backend(id)
    if found is None:
        raise Unreachable(f"backend {id} is not ready in this process", remedy="See 'breezeblock status' for why it did not start.")
    return found


def choose_target(backend: Backend, reach: Reach, connector: Mapping[str, Any], *, local_host: str) -> str:
    """The first target that takes this kind of reach and can be entered by this connector. Raises Unsupported with what there is."""
    here = connector.get("host") == local_host and not connector.get("user_space")
    for name, target in backend.targets.items():
        if target.accepts(reach) and (target.capabilities.remote or here):
            return name
    raise Unsupported(
        "no target can export this volume to that host",
        needed=f"a target for {type(reach).__name__}" + ("" if here else ", reachable remotely"), had=", ".join(backend.targets) or "no target", remedy="Configure the nbd target for this backend.",
    )


def object_of(driver: Driver, id: str, kind: Kind, stored: str, size: int, parent: str = "") -> Object:
    """The stored Object, or (nothing was stored: a create that failed) the one its id names."""
    if stored:
        return msgspec.json.decode(stored, type=Object)
    return Object(kind=kind, id=id, name=driver.name(id, kind), size=size, parent=parent)


def live_port(backend: Backend, exported: str) -> Live | None:
    """The port to the process that holds an exported volume open; None when it is not exported or the kernel holds it."""
    if not exported:
        return None
    known = msgspec.json.decode(exported, type=Exported)
    return backend.targets[known.target].live(known.export)


def encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()



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
        raise Unreachable(
            f"backend {id} is not ready in this process",
            remedy="See 'breezeblock status' for why it did not start.",
        )
    return found


def choose_target(backend: Backend, reach: Reach, connector: Mapping[str, Any], *, local_host: str) -> str:
    """The first target that takes this kind of reach and can be entered by this connector: from this host by any (a consumer in user
    space by none that hands out a bare file), from another only by a remote one. Raises Unsupported with what there is."""
    here = connector.get("host") in (None, local_host)
    for name, target in backend.targets.items():
        facts = target.capabilities
        if (
            not target.accepts(reach)
            or not (here or facts.remote)
            or (connector.get("user_space") and facts.protocol == "local")
        ):
            continue
        return name
    where = "this host" if here else f"host {connector.get('host')}"
    raise Unsupported(
        f"no target can export this volume to {where}",
        needed=f"a target for {type(reach).__name__} that {where} can reach",
        had=", ".join(backend.targets) or "no target",
        remedy='Set [nbd] tcp_listen, or target = "auto" for this backend.',
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

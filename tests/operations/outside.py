# SPDX-License-Identifier: Apache-2.0
"""The outside in memory (a backend with its driver and target, a host with its connector), and one turn of the engine at a time: what
operations do when requests and failures come in an order that a test chooses. Satisfies operations' Ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breezeblock.brick.connector import Device, Identity
from breezeblock.drivers.driver import Kind, Object, Spec
from breezeblock.flow.linear import LinearFlow, Outcome
from breezeblock.flow.task import Flow, Work
from breezeblock.model.call import Context
from breezeblock.model.errors import Busy, NotThere, Unreachable
from breezeblock.model.observation import Observation
from breezeblock.model.reach import FileReach
from breezeblock.operations.registry import FLOWS
from breezeblock.scheduler.policy import Policy
from breezeblock.store import operations
from breezeblock.store.database import Store
from breezeblock.store.journal import StoreJournal
from breezeblock.targets.target import ConnectionInfo, Export, Mode, TargetCapabilities
from tests.api import rows

HOST = "store1"
QUEUES = ("scheduler", f"backend/{rows.BACKEND}", f"host/{HOST}")
LEASE_US = 60_000_000


class MemoryDriver:
    """Objects by name. `down`: nobody answers."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.down = False

    def _there(self) -> None:
        if self.down:
            raise Unreachable("the folder is not there")

    def name(self, id: str, kind: Kind) -> str:
        return f"{kind}-{id}"

    def create(self, spec: Spec, source: Object | None, ctx: Context) -> Object:
        self._there()
        return self.put(spec.id, Kind.VOLUME, spec.size)

    def put(self, id: str, kind: Kind, size: int) -> Object:
        made = Object(kind=kind, id=id, name=self.name(id, kind), size=size)
        return self.objects.setdefault(made.name, made)

    def delete(self, obj: Object, ctx: Context) -> None:
        self._there()
        self.objects.pop(obj.name, None)

    def extend(self, obj: Object, size: int, live: Any, ctx: Context) -> Object:
        self._there()
        self.objects.pop(obj.name, None)
        return self.put(obj.id, obj.kind, size)

    def snapshot(self, of: Sequence[tuple[Object, str]], live: Any, ctx: Context) -> Sequence[Object]:
        self._there()
        return [self.put(id, Kind.SNAPSHOT, volume.size) for volume, id in of]

    def revert(self, volume: Object, to: Object, ctx: Context) -> Object:
        self._there()
        return self.objects[volume.name]

    def tidy(self, live: Any, ctx: Context) -> int:
        self._there()
        return 0

    def find(self, name: str) -> Observation[Object]:
        if self.down:
            return Observation.unknown("the folder is not there")
        found = self.objects.get(name)
        return Observation.not_done() if found is None else Observation.done(found)

    def reach(self, obj: Object) -> FileReach:
        self._there()
        if obj.name not in self.objects:
            raise NotThere(f"there is no {obj.name}")
        return FileReach(f"/{obj.name}", "raw")


class MemoryTarget:
    """Exports by name with who was let in. `held`: names that a session holds open."""

    def __init__(self) -> None:
        self.exports: dict[str, tuple[Export, list[str]]] = {}
        self.held: set[str] = set()
        self.on_export: Callable[[], None] = lambda: None
        self.resized_with: Exception | None = None

    @property
    def capabilities(self) -> TargetCapabilities:
        return TargetCapabilities(protocol="memory", remote=True, live_snapshot=False, live_resize=True)

    def accepts(self, reach: Any) -> bool:
        return True

    def name(self, volume_id: str) -> str:
        return f"volume-{volume_id}"

    def export(self, reach: Any, volume_id: str, size: int, mode: Mode, ctx: Context) -> Export:
        self.on_export()
        made = Export(name=self.name(volume_id), volume_id=volume_id, mode=mode, size=size)
        return self.exports.setdefault(made.name, (made, []))[0]

    def admit(self, export: Export, host: Mapping[str, Any], ctx: Context) -> ConnectionInfo:
        self.exports[export.name][1].append(str(host.get("host")))
        return ConnectionInfo(driver_volume_type="memory", data={"export": export.name})

    def dismiss(self, export: Export, host: Mapping[str, Any] | None, ctx: Context) -> bool:
        _, admitted = self.exports.get(export.name, (export, []))
        admitted[:] = [who for who in admitted if host is not None and who != host.get("host")]
        return bool(admitted)

    def unexport(self, export: Export, ctx: Context, *, force: bool = False) -> None:
        if export.name in self.held and not force:
            raise Busy(f"{export.name} is held open")
        self.exports.pop(export.name, None)

    def find(self, name: str) -> Observation[Export]:
        found = self.exports.get(name)
        return Observation.not_done() if found is None else Observation.done(found[0])

    def resized(self, export: Export, size: int, ctx: Context) -> None:
        if self.resized_with is not None:
            raise self.resized_with

    def live(self, export: Export) -> None:
        return None


class MemoryConnector:
    """Devices by export name."""

    def __init__(self) -> None:
        self.devices: set[str] = set()

    def connect_volume(self, info: Mapping[str, Any], expect: Identity) -> Device:
        self.devices.add(info["data"]["export"])
        return self._device(info)

    def _device(self, info: Mapping[str, Any]) -> Device:
        return Device(kind="block", path=f"/dev/{info['data']['export']}", how="memory")

    def disconnect_volume(self, info: Mapping[str, Any], device: Device | None, **_: Any) -> None:
        self.devices.discard(info["data"]["export"])

    def extend_volume(self, info: Mapping[str, Any]) -> int:
        return int(info["data"].get("size", 0))

    def observe(self, info: Mapping[str, Any]) -> Observation[Device]:
        if info["data"]["export"] not in self.devices:
            return Observation.not_done()
        return Observation.done(self._device(info))


class MemoryBackend:
    id = rows.BACKEND

    def __init__(self) -> None:
        self.driver, self.target = MemoryDriver(), MemoryTarget()
        self.targets = {"memory": self.target}


class Outside:
    """`turn` is one claim of the oldest operation and one drive of it, as an engine's worker does."""

    policy, host, boot_id = Policy(), HOST, "boot-1"

    def __init__(self, store: Store) -> None:
        self.store, self.home, self.connected = store, MemoryBackend(), MemoryConnector()

    def backend(self, id: str) -> Any:
        return self.home if id == self.home.id else None

    def connector(self, protocol: str) -> Any:
        return self.connected

    def connector_properties(self) -> Mapping[str, Any]:
        return {"host": self.host}

    def read(self, fn: Callable[[Any], Any]) -> Any:
        return self.store.read_sync(fn)

    def turn(
        self, queues: Sequence[str] = QUEUES, flow: Callable[[Flow], Flow] | None = None
    ) -> Outcome | None:
        """What became of the oldest operation that may be claimed; None: there is none."""
        for lane in (operations.INTERACTIVE, operations.BULK):
            for claimed in self.store.write_sync(
                lambda tx, lane=lane: operations.claim(tx, "me", queues, lane, 1, LEASE_US)  # type: ignore[misc]
            ):
                work = Work(
                    operation=claimed.id, kind=claimed.kind, resource_id=claimed.resource_id, project_id=claimed.project_id,
                    args=claimed.args, fence=claimed.fence, ports=self, call=Context(claimed.id, claimed.fence),
                )  # fmt: skip
                journal = StoreJournal(self.store, claimed, lambda queue: queue in queues)
                wanted = FLOWS[claimed.kind]
                return LinearFlow(flow(wanted) if flow else wanted, work, journal).run()
        return None

    def settle(self) -> list[Outcome]:
        """Turn until nothing may be claimed. What waits for a time stays."""
        outcomes: list[Outcome] = []
        while (outcome := self.turn()) is not None:
            assert len(outcomes) < 100, f"this never ends: {outcomes[-5:]}"
            outcomes.append(outcome)
        return outcomes

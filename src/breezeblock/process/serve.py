# SPDX-License-Identifier: Apache-2.0
"""One process from its start to its end: configuration, data folder, database, backends, engine, HTTP; and back in reverse. Restarting or
killing it never touches an attached disk: exporters live in sessions of their own and are adopted by the next start.

Stop (SIGINT, SIGTERM): new work is refused with 503, what runs finishes or is parked at its next check, leases are given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from breezeblock import __version__
from breezeblock.bus.inprocess import InProcessBell
from breezeblock.config import Config, load
from breezeblock.flow.engine import Engine
from breezeblock.host import killpoint
from breezeblock.model.errors import Error, Failed
from breezeblock.operations.registry import FLOWS, unknown_tasks
from breezeblock.operations.submit import SCHEDULER, agent_queue
from breezeblock.process import backends as running
from breezeblock.process import starting
from breezeblock.process.agent import Agent
from breezeblock.process.backends import RunningBackend
from breezeblock.process.folder import DataFolder
from breezeblock.process.orphans import Orphans
from breezeblock.process.periodic import Periodic
from breezeblock.process.ports import ProcessPorts
from breezeblock.process.status import Status
from breezeblock.process.waiting import Waiting
from breezeblock.scheduler.names import check
from breezeblock.scheduler.policy import Policy
from breezeblock.store import operations, pools, quotas, services, setup
from breezeblock.store.claims import StoreClaims
from breezeblock.store.clock import utc_text
from breezeblock.store.database import Store
from breezeblock.store.migrate import upgrade
from breezeblock.store.transaction import Tx

log = logging.getLogger("breezeblock")


def run(
    *, config: Path | str | None, listen: str | None, data: Path | str | None, ready_file: Path | str | None
) -> int:
    """The exit code: 0 after a graceful stop, 1 when it refused to start (one sentence says why)."""
    os.umask(0o077)  # nothing that this process makes is for others, whatever the folder that it is made in
    try:
        starting.begin_log(os.environ.get("BREEZEBLOCK_LOG") or "INFO")
        starting.refuse_unwritable(ready_file)
    except Error as error:
        print(f"breezeblock: {error} {error.remedy}", file=sys.stderr)
        return 1
    logging.getLogger("alembic").setLevel(logging.WARNING)
    overrides: dict[str, str] = {}
    if listen is not None:
        host, _, port = listen.rpartition(":")
        overrides = {"server.host": host.strip("[]") or "127.0.0.1", "server.port": port}
    if data is not None:
        overrides["data.folder"] = str(data)
    try:
        settings = load(Path(config) if config is not None else None, os.environ, overrides)
        service = Service(settings)
    except Error as error:
        print(f"breezeblock: {error} {error.remedy}", file=sys.stderr)
        return 1
    return service.run(Path(ready_file) if ready_file is not None else None)


class Service:
    """Everything of one process. Made in the order it depends; `run` serves until a signal."""

    def __init__(self, config: Config) -> None:
        self.config, self.host, self.started_at = config, socket.gethostname(), utc_text()
        self.folder = DataFolder(config.data.folder)
        self.socket = _listen(config.server.host, config.server.port)
        self.endpoint = _endpoint(self.socket)
        self.credentials = self.folder.credentials(self.endpoint)
        url = config.database.url.reveal()
        upgrade(url)
        self.bell, self.roles = InProcessBell(), config.roles.start
        self.store = Store(url, threads=config.database.connections, bell=self._rung)
        self.process_id = self.folder.process_id()
        self.store.write_sync(self._prepare)
        self.backends = self._build_backends() if "volume" in self.roles else []
        self.ports = self._build_ports()
        self.claims = StoreClaims(
            self.store, self.process_id, self.queues, lease_seconds=config.engine.lease_seconds
        )
        self.engine = self._build_engine()
        self.periodic = self._build_periodic()
        self.stopping = threading.Event()

    # -- composition -----------------------------------------------------------------------------------------------

    def _prepare(self, tx: Tx) -> None:
        setup.prepare(tx)
        missing = unknown_tasks(operations.unfinished_tasks(tx))
        if missing:
            raise Failed(
                "unfinished operations need tasks that this version does not have",
                needed=", ".join(missing),
                had=f"version {__version__}",
                remedy="Start the version that began them, let them finish, then upgrade.",
            )
        if self.store.dialect == "sqlite":
            operations.release_all(tx, None)  # the folder's lock is ours: whoever held a lease is dead
        if self.config.quota.local_project_unlimited:
            quotas.set_limits(tx, self.credentials.project_id, {quotas.ANY: -1})

    def _build_backends(self) -> list[RunningBackend]:
        run_folder = self.config.data.folder / "run"
        run_folder.mkdir(mode=0o700, exist_ok=True)
        found = []
        for settings in self.config.backends:
            id = self.folder.backend_id(settings.name)
            holds = self.store.read_sync(partial(pools.holds_volumes, backend_id=id))
            found.append(running.build(self.config, settings, id, self.host, run_folder, holds_volumes=holds))
        return found

    def _build_ports(self) -> ProcessPorts:
        from breezeblock.brick.factory import connectors

        state = self.config.data.folder / "agent"
        wanted = self.config.scheduler
        policy = check(
            Policy(
                filters=wanted.filters,
                weighers=wanted.weighers,
                multipliers=wanted.multipliers,
                weight_handler=wanted.weight_handler,
                max_attempts=wanted.max_attempts,
            )
        )
        return ProcessPorts(self.store, self.backends, connectors(state), policy, host=self.host, state=state)

    def _build_engine(self) -> Engine:
        wanted = self.config.engine
        return Engine(
            self.claims,
            FLOWS,
            self.bell,
            self.ports,
            workers=(wanted.workers_interactive, wanted.workers_bulk),
            lease_seconds=wanted.lease_seconds,
            renew_seconds=wanted.renew_seconds,
            give_up=_give_up,
            probe=killpoint.reach,
        )

    def _build_periodic(self) -> Periodic:
        from breezeblock.brick.nbd import end_leftovers

        agent = Agent(self.store, self.ports, partial(end_leftovers, self.config.data.folder / "agent"))
        return Periodic(
            self.store,
            self.backends,
            process_id=self.process_id,
            host=self.host,
            roles=self.roles,
            zone=self.config.scheduler.default_availability_zone,
            queues=self.queues,
            look_at_attachments=agent.look if "agent" in self.roles else lambda: None,
            orphans=self._build_orphans() if "scheduler" in self.roles else None,
            started_at=self.started_at,
        )

    def _build_orphans(self) -> Orphans:
        wanted = self.config.engine
        return Orphans(
            self.store,
            self.queues,
            self.ports,
            after_seconds=wanted.orphan_after_seconds,
            lease_seconds=wanted.lease_seconds,
        )

    def queues(self) -> list[str]:
        """What this process works for now."""
        found = running.by_queue(self.backends)
        if "scheduler" in self.roles:
            found.append(SCHEDULER)
        if "agent" in self.roles:
            found.append(agent_queue(self.host))
        return found

    # -- life ------------------------------------------------------------------------------------------------------

    def run(self, ready_file: Path | None) -> int:
        starters = [
            threading.Thread(
                target=running.start, args=(backend, self.store), name=f"start-{backend.name}", daemon=True
            )
            for backend in self.backends
        ]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join(timeout=1.0)  # a slow backend comes later; the API does not wait for it
        self.periodic.beat()
        self.engine.start()
        self.periodic.start()
        try:
            if "api" in self.roles:
                import uvloop

                uvloop.run(self._serve_http(ready_file))
            else:
                self._announce(ready_file)
                self._wait_for_signal()
        finally:
            working = self._stop()
        if working:
            logging.shutdown()
            # Python would wait for the threads of what was left running, for as long as that takes.
            os._exit(0)
        return 0

    async def _serve_http(self, ready_file: Path | None) -> None:
        import uvicorn

        from breezeblock.api import app
        from breezeblock.api.auth import LocalTokens, NoAuth
        from breezeblock.api.services import Facts, Services
        from breezeblock.process import browsers, door

        door.enough_descriptors()
        waiting = Waiting(self.store, self.bell, self.claims)
        status = Status(
            self.store,
            self.backends,
            folder=self.folder.path,
            database=self.store.url.render_as_string(hide_password=True),
            roles=self.roles,
            host=self.host,
            boot_id=self.ports.boot_id,
            started_at=self.started_at,
        )
        caller = self.credentials.caller()
        api = app.build(
            Services(
                store=self.store,
                authenticator=LocalTokens({self.credentials.token: caller})
                if self.config.auth.mode == "local"
                else NoAuth(caller),
                facts=Facts(
                    version=__version__,
                    public_endpoint=self.config.server.public_endpoint,
                    max_body=self.config.server.max_body_bytes,
                    default_availability_zone=self.config.scheduler.default_availability_zone,
                    connect_seconds=self.config.server.connect_seconds,
                    host=self.host,
                    agent="agent" in self.roles,
                ),
                wait=waiting.ended,
                changed=waiting.changed,
                cancel=waiting.cancel,
                abandon=waiting.abandon,
                status=status.read,
                accepting=lambda: not self.stopping.is_set(),
            )
        )
        server = _without_signals(
            uvicorn.Config(
                api if self.config.auth.mode == "local" else browsers.refused(api),
                loop="none",
                http=door.Door,
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=10,
                server_header=False,
                backlog=2048,
            )
        )
        loop = asyncio.get_running_loop()

        async def drain() -> None:
            """Requests are still answered (503 for new work) while what runs comes to its end."""
            left = await loop.run_in_executor(None, self.engine.stop)
            for id in left:
                log.warning("operation %s is left running; it goes on after the next start", id)
            server.should_exit = True

        def stop() -> None:
            if not self.stopping.is_set():
                log.info(
                    "stopping: new work is refused, running operations finish or are parked; attached disks stay"
                )
                self.stopping.set()
                self._draining = loop.create_task(drain())
            else:
                server.should_exit = server.force_exit = True

        for number in _stop_signals():
            loop.add_signal_handler(number, stop)
        gc.freeze()  # what the start has made stays for good: no collection looks through it again
        self._announce(ready_file)
        await server.serve(sockets=[self.socket])

    def _announce(self, ready_file: Path | None) -> None:
        log.info("breezeblock %s serves %s, data in %s", __version__, self.endpoint, self.folder.path)
        if ready_file is not None:
            ready_file.write_text(self.endpoint + "\n", encoding="ascii")

    def _wait_for_signal(self) -> None:
        for number in _stop_signals():
            signal.signal(number, lambda *_: self.stopping.set())
        self.stopping.wait()

    def _leave(self, tx: Tx, *, working: bool) -> None:
        """While something is still at work its lease is not given away: it ends by itself, soon after this process."""
        if not working:
            operations.release_all(tx, self.process_id)
        services.gone(tx, self.process_id)

    def _rung(self, names: frozenset[str]) -> None:
        """After each commit: wake who waits; an operation that ended may have changed the space there is."""
        self.bell.rung(names)
        if any(name.startswith("operation/") for name in names):
            self.periodic.nudge()

    def _stop(self) -> bool:
        """Whether something had to be left running."""
        self.stopping.set()
        self.periodic.stop()
        working = bool(self.engine.stop(grace_seconds=5.0))
        with contextlib.suppress(Exception):  # the process ends either way; leases end by themselves
            self.store.write_sync(partial(self._leave, working=working))
        self.store.close()
        return working


def _without_signals(config: Any) -> Any:
    """A server whose signals belong to the Service. Imported late: roles without HTTP never load it."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(config)


def _stop_signals() -> tuple[signal.Signals, ...]:
    """A closed terminal stops the service in order too, unless its start said that it shall not (nohup)."""
    stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM) if stays else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _give_up(reason: str) -> None:
    """Leases are about to end: nobody may work on from here. Exporters and movers' supervisors are other processes."""
    log.critical("exiting at once: %s", reason)
    logging.shutdown()
    os._exit(70)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except OSError as error:
        server.close()
        raise Failed(
            f"cannot listen on {host}:{port}: {error.strerror}",
            needed="a free port",
            remedy="Stop what uses it, or choose another with --listen HOST:PORT.",
        ) from error
    server.set_inheritable(False)
    server.listen(2048)  # who read the endpoint before the first accept waits for it instead of being refused
    return server


def _endpoint(server: socket.socket) -> str:
    host, port = server.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

# SPDX-License-Identifier: Apache-2.0
"""Every setting there is: name, type, default and description, with the unit in the name. docs/CONFIGURATION.md is printed from here.
Must never hold a rule that takes two settings (settle.py) or know where a value came from (load.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from breezeblock.model.secret import Secret

Positive = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=-1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Percentage = Annotated[int, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
Role = Literal["api", "scheduler", "volume", "agent"]

#: A folder that was not configured. A configured one is absolute once it is read, so nobody can mean this one.
UNSET = Path()


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where the API listens. Beyond loopback it wants authentication, and TLS in front so that no token travels in the clear."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on; 0 takes a free one.")] = 8776
    public_endpoint: Annotated[
        str, Meta(description="Base of the links in answers; empty: as the caller wrote it.")
    ] = ""
    behind_tls: Annotated[bool, Meta(description="A proxy in front of this service ends TLS.")] = False
    max_body_bytes: Annotated[Positive, Meta(description="Longest request body that is read.")] = 114688
    connect_seconds: Annotated[
        Positive, Meta(description="How long a call waits for its connection; then it answers 504.")
    ] = 60


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """The truth: SQLite, PostgreSQL or MariaDB. A URL with a password is better given in the environment."""

    url: Annotated[Secret, Meta(description="SQLAlchemy URL; empty: SQLite in the data folder.")] = Secret("")
    connections: Annotated[Positive, Meta(description="Connections that one process keeps.")] = 6


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """How operations are claimed and worked on."""

    lease_seconds: Annotated[Positive, Meta(description="How long a claim holds when nobody renews it.")] = 15
    renew_seconds: Annotated[
        Positive, Meta(description="How often claims are renewed; at most half of a lease.")
    ] = 5
    workers_bulk: Annotated[
        Positive, Meta(description="Operations that move bytes, at the same time in one process.")
    ] = 4
    workers_interactive: Annotated[
        Positive, Meta(description="Workers kept for connections: people wait for them.")
    ] = 4
    orphan_after_seconds: Annotated[
        Positive, Meta(description="A queue without a server for so long is decided for.")
    ] = 120


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What the service keeps on this machine. BREEZEBLOCK_DATA is a short name for BREEZEBLOCK_DATA_FOLDER."""

    folder: Annotated[
        Path,
        Meta(
            description="Empty: $XDG_DATA_HOME/breezeblock, else ~/.local/share/breezeblock of the user it runs as."
        ),
    ] = UNSET


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call. `local`: one administrator's token, in a file that only this user can read. `none`: everybody on this machine."""

    mode: Annotated[Literal["local", "none"], Meta(description="How callers are recognised.")] = "local"


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """A project's limits where nobody set others; -1 is unlimited. Gigabytes are GiB, as everywhere in the API."""

    volumes: Annotated[Limit, Meta(description="Volumes.")] = 10
    snapshots: Annotated[Limit, Meta(description="Snapshots.")] = 10
    gigabytes: Annotated[Limit, Meta(description="Volumes and snapshots together.")] = 1000
    backups: Annotated[Limit, Meta(description="Backups.")] = 10
    backup_gigabytes: Annotated[Limit, Meta(description="All backups together.")] = 1000
    groups: Annotated[Limit, Meta(description="Groups.")] = 10
    per_volume_gigabytes: Annotated[Limit, Meta(description="One volume.")] = -1
    local_project_unlimited: Annotated[
        bool, Meta(description="The local administrator's project has no limits.")
    ] = True


class Scheduler(msgspec.Struct, frozen=True, kw_only=True):
    """Where volumes go. The names of filters and weighers are checked at start-up."""

    filters: Annotated[tuple[str, ...], Meta(description="Filters; a volume goes where none refuses.")] = (
        "availability_zone",
        "capacity",
        "capabilities",
        "retry",
    )
    weighers: Annotated[tuple[str, ...], Meta(description="Weighers; their weights are added.")] = (
        "capacity",
    )
    multipliers: Annotated[
        dict[str, float], Meta(description="By weigher: how much it counts; negative: less is better.")
    ] = {}
    weight_handler: Annotated[
        Literal["ordered", "stochastic"],
        Meta(description="The heaviest pool wins, or one drawn in proportion."),
    ] = "ordered"
    max_attempts: Annotated[
        Positive, Meta(description="Placements tried for one request; 1 disables retries.")
    ] = 3
    default_availability_zone: Annotated[str, Meta(description="Zone of a volume that asks for none.")] = (
        "nova"
    )


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """A place for volumes. One [[backends]] for each; without any there is one, named 'local'."""

    name: Annotated[
        Name, Meta(description="Its part of host@NAME#pool, and what volume_backend_name is compared with.")
    ]
    driver: Annotated[Literal["file"], Meta(description="How volumes are stored.")] = "file"
    folder: Annotated[
        Path,
        Meta(
            description="Empty: in the data folder, 'volumes' for the backend 'local', 'volumes-NAME' for others."
        ),
    ] = UNSET
    target: Annotated[
        Literal["auto", "nbd", "local"], Meta(description="How volumes leave it; auto: the best that works.")
    ] = "auto"
    availability_zone: Annotated[str, Meta(description="Zone of its pools.")] = "nova"
    reserved_percentage: Annotated[
        Percentage, Meta(description="Part of the space that no volume is placed in.")
    ] = 0
    max_over_subscription_ratio: Annotated[
        Annotated[float, Meta(ge=1, le=1000)],
        Meta(description="Space promised for each byte there is; above 1.0 a full disk can stop guests."),
    ] = 1.0
    keep_free_mib: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="Left free for the host; unset: 5 % of a small disk, 1 GiB of others."),
    ] = None
    filter_function: Annotated[str, Meta(description="Condition for the filter 'driver'; empty: none.")] = ""
    goodness_function: Annotated[
        str, Meta(description="0 to 100, for the weigher 'goodness'; empty: none.")
    ] = ""
    capabilities: Annotated[
        dict[str, Any], Meta(description="More that its pools report, for extra specs to ask for.")
    ] = {}

    @property
    def keep_free_bytes(self) -> int | None:
        return None if self.keep_free_mib is None else self.keep_free_mib << 20


class Nbd(msgspec.Struct, frozen=True, kw_only=True):
    """How other hosts reach volumes by NBD. Without an address volumes are exported to this host only."""

    tcp_listen: Annotated[str, Meta(description="Address for other hosts; empty: unix sockets only.")] = ""
    port_first: Annotated[Port, Meta(description="First of the ports; each remote export takes one.")] = 10900
    port_last: Annotated[Port, Meta(description="Last of the ports.")] = 10999
    tls_folder: Annotated[
        Path, Meta(description="Folder of ca-cert.pem, server-cert.pem and server-key.pem.")
    ] = UNSET
    tls_hostname: Annotated[
        str, Meta(description="Name that clients check in the certificate; empty: this host's.")
    ] = ""
    in_the_clear: Annotated[
        bool, Meta(description="Allow other hosts without TLS: who reaches the port reads the bytes.")
    ] = False


class Bus(msgspec.Struct, frozen=True, kw_only=True):
    """How processes wake each other. Losing it costs latency, never work."""

    kind: Annotated[Literal["in-process"], Meta(description="The bell.")] = "in-process"


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """What this process does."""

    start: Annotated[tuple[Role, ...], Meta(description="Roles to start.")] = (
        "api",
        "scheduler",
        "volume",
        "agent",
    )


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, settled: after `load` each folder is absolute, the database has its URL, and there is at least one backend."""

    server: Server = Server()
    database: Database = Database()
    engine: Engine = Engine()
    data: Data = Data()
    auth: Auth = Auth()
    quota: Quota = Quota()
    scheduler: Scheduler = Scheduler()
    backends: tuple[Backend, ...] = ()
    nbd: Nbd = Nbd()
    bus: Bus = Bus()
    roles: Roles = Roles()

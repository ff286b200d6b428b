# SPDX-License-Identifier: Apache-2.0
"""Puts a database into the state that a test begins from, by the store's own functions: no engine runs here."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import create_engine

from breezeblock.store import attachments, pools, quotas, setup, snapshots, types, volumes
from breezeblock.store.database import Store
from breezeblock.store.schema import metadata

PROJECT, OTHER_PROJECT = "a" * 32, "b" * 32
USER = "c" * 32
BACKEND = "11111111-1111-4111-8111-111111111111"


def prepared(path: Path) -> Path:
    """A database (SQLite) at `path` with its schema, default rows and one backend, for every test to copy."""
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    store = Store(f"sqlite:///{path}", threads=1)
    store.write_sync(setup.prepare)
    backend(store)
    store.close()
    return path


def backend(store: Store, *, zone: str = "nova") -> None:
    """One backend with one pool that has room."""

    def write(tx: Any) -> None:
        pools.register(
            tx,
            {
                "id": BACKEND, "name": "folder", "host": "store1", "driver": "file", "availability_zone": zone, "host_bound": False,
                "capabilities": msgspec.json.encode({"online_extend": True}).decode(), "state": "up",
            },
        )  # fmt: skip
        report = {
            "total": 1 << 40, "free": 1 << 40, "allocated": 0, "provisioned": 0, "reserved_percentage": 0,
            "max_over_subscription_ratio": 1.0, "capabilities": {"thin": True, "storage_protocol": "nbd"}, "usable": True,
            "reason": "", "sampled_at": 0.0,
        }  # fmt: skip
        pools.report(tx, BACKEND, [("pool", report, 1)])

    store.write_sync(write)


def volume(
    store: Store, *, project_id: str = PROJECT, status: str = "available", placed: bool = True, **facts: Any
) -> str:
    id = facts.pop("id", str(uuid.uuid4()))

    def write(tx: Any) -> None:
        kind = types.default(tx)
        where = {"backend_id": BACKEND, "pool": "pool", "availability_zone": "nova"} if placed else {}
        size = facts.get("size", 1)
        values = {
            "id": id, "project_id": project_id, "user_id": USER, "size": size, "status": status, "volume_type_id": kind.id,
            **where, **facts,
        }  # fmt: skip
        volumes.create(tx, values)
        amounts = {"volumes": 1, "gigabytes": size, f"volumes_{kind.name}": 1, f"gigabytes_{kind.name}": size}
        quotas.charge(tx, project_id, id, amounts)

    store.write_sync(write)
    return str(id)


def snapshot(
    store: Store, volume_id: str, *, project_id: str = PROJECT, status: str = "available", **facts: Any
) -> str:
    id = str(uuid.uuid4())
    values = {
        "id": id, "volume_id": volume_id, "project_id": project_id, "user_id": USER, "size": 1, "status": status, **facts
    }  # fmt: skip
    store.write_sync(lambda tx: snapshots.create(tx, values))
    return id


def attachment(store: Store, volume_id: str, *, project_id: str = PROJECT, **facts: Any) -> str:
    id = str(uuid.uuid4())
    store.write_sync(
        lambda tx: attachments.create(
            tx, {"id": id, "volume_id": volume_id, "project_id": project_id, **facts}
        )
    )
    return id


def attached(store: Store, volume_id: str, **facts: Any) -> str:
    """An attachment that is in use, and its volume with it."""
    id = attachment(
        store, volume_id, attach_status="attached", attached_host="host1", mountpoint="/dev/vdb", attach_mode="rw",
        attach_time="2026-11-21T07:43:43.000000", **facts,
    )  # fmt: skip
    store.write_sync(lambda tx: volumes.settle(tx, volume_id, "in-use", attach_status="attached"))
    return id


def status(store: Store, volume_id: str, value: str, **facts: Any) -> None:
    store.write_sync(lambda tx: volumes.settle(tx, volume_id, value, **facts))


def seen(store: Store, volume_id: str) -> Any:
    return store.read_sync(lambda tx: volumes.get(tx, volume_id))

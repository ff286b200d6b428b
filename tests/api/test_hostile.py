# SPDX-License-Identifier: Apache-2.0
"""Every operation with a body is sent its own good body with one value after another replaced by something hostile: whatever it
answers, it is never a defect, and a refusal is a fault of the contract."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine

from breezeblock.api import v3
from breezeblock.api.fault import NAMES
from breezeblock.store import setup
from breezeblock.store.database import Store
from breezeblock.store.schema import metadata
from tests.api import rows
from tests.api.asgi import Client

pytestmark = pytest.mark.slow

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 2**64, 1.5, 1e308, "", " ", "x", "x" * 256, "x" * 70_000, "\x00", "\u202e", "🧱" * 255, "%s{0}",
    "' OR 1=1 --", "../../etc/passwd", "1e5", "٣", [], [[]], [None], {}, {"": None}, {"a": {"b": {}}}, {"x" * 300: "y"},
)  # fmt: skip

#: What reaches the servers as a value; the rest ends at the edge, which is the same before all of them.
FOR_SERVERS: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**31,
    2**63,
    "",
    "x" * 255,
    "x" * 70_000,
    "\u202e",
    "🧱" * 255,
    "%s{0}",
    "' OR 1=1 --",
    {"a": {"b": {}}},
)

NEW = "00000000-1111-4222-8333-444444444444"


def bodies(ids: dict[str, str]) -> dict[str, Any]:
    """A good body for every operation that takes one."""
    connector = {"connector": {"host": "h", "ip": "192.0.2.1", "multipath": False, "initiator": "iqn.x"}}
    return {
        "volumes.create": {
            "volume": {
                "size": 1, "name": "n", "description": "d", "volume_type": "__DEFAULT__", "metadata": {"k": "v"},
                "snapshot_id": ids["snapshot_id"], "availability_zone": "nova", "multiattach": False, "imageRef": "",
                "group_id": "", "backup_id": "", "source_volid": "",
            },
            "OS-SCH-HNT:scheduler_hints": {"same_host": [ids["volume_id"]], "query": "[]"},
        },
        "volumes.update": {"volume": {"name": "n", "description": "d", "metadata": {"k": "v"}}},
        "volume_metadata.create": {"metadata": {"k": "v"}},
        "volume_metadata.replace": {"metadata": {"k": "v"}},
        "volume_metadata.update_item": {"meta": {"k": "v"}},
        "volumes.action.os-extend": {"os-extend": {"new_size": 2}},
        "volumes.action.os-set_bootable": {"os-set_bootable": {"bootable": True}},
        "volumes.action.os-update_readonly_flag": {"os-update_readonly_flag": {"readonly": True}},
        "volumes.action.revert": {"revert": {"snapshot_id": ids["snapshot_id"]}},
        "volumes.action.os-reset_status": {
            "os-reset_status": {"status": "available", "attach_status": "detached", "migration_status": "none"}
        },
        "volumes.action.os-force_detach": {"os-force_detach": {**connector, "attachment_id": ids["attachment_id"]}},
        "volumes.action.os-initialize_connection": {"os-initialize_connection": connector},
        "volumes.action.os-terminate_connection": {"os-terminate_connection": connector},
        "volumes.action.os-attach": {
            "os-attach": {"mountpoint": "/dev/vdb", "instance_uuid": NEW, "host_name": "h", "mode": "rw"}
        },
        "volumes.action.os-detach": {"os-detach": {"attachment_id": ids["attachment_id"]}},
        "volumes.action.os-set_image_metadata": {"os-set_image_metadata": {"metadata": {"k": "v"}}},
        "volumes.action.os-unset_image_metadata": {"os-unset_image_metadata": {"key": "k"}},
        "snapshots.create": {
            "snapshot": {"volume_id": ids["volume_id"], "name": "n", "description": "d", "force": True, "metadata": {"k": "v"}}
        },
        "snapshots.update": {"snapshot": {"name": "n", "description": "d"}},
        "snapshot_metadata.create": {"metadata": {"k": "v"}},
        "snapshot_metadata.replace": {"metadata": {"k": "v"}},
        "snapshot_metadata.update_item": {"meta": {"k": "v"}},
        "snapshots.action.os-reset_status": {"os-reset_status": {"status": "available"}},
        "snapshots.action.os-update_snapshot_status": {"os-update_snapshot_status": {"status": "error", "progress": "1%"}},
        "attachments.create": {"attachment": {"volume_uuid": ids["volume_id"], "instance_uuid": NEW, "mode": "rw", **connector}},
        "attachments.update": {"attachment": connector},
        "types.create": {
            "volume_type": {"name": "t", "description": "d", "extra_specs": {"k": "v"}, "os-volume-type-access:is_public": True}
        },
        "types.update": {"volume_type": {"name": "t", "description": "d", "is_public": True}},
        "type_extra_specs.create": {"extra_specs": {"k": "v"}},
        "type_extra_specs.update": {"k": "v"},
        "group_types.create": {
            "group_type": {"name": "g", "description": "d", "is_public": True, "group_specs": {"k": "v"}}
        },
        "group_types.update": {"group_type": {"name": "g", "description": "d", "is_public": True}},
        "group_specs.create": {"group_specs": {"k": "v"}},
        "group_specs.update": {"k": "v"},
        "clusters.enable": {"name": "c", "binary": "cinder-volume"},
        "clusters.disable": {"name": "c", "binary": "cinder-volume", "disabled_reason": "r"},
        "hosts.update": {"status": "enable"},
        "services.enable": {"host": "store1@folder", "binary": "cinder-volume", "service": "s", "cluster": "c"},
        "services.disable": {"host": "store1@folder", "binary": "cinder-volume"},
        "services.disable_log_reason": {
            "host": "store1@folder", "binary": "cinder-volume", "disabled_reason": "r"
        },
        "services.freeze": {"host": "store1@folder"},
        "services.thaw": {"host": "store1@folder"},
        "transfers.create": {"transfer": {"volume_id": ids["volume_id"], "name": "n", "no_snapshots": True}},
        "transfers.accept": {"accept": {"auth_key": "k"}},
        "os-transfers.create": {"transfer": {"volume_id": ids["volume_id"], "name": "n"}},
        "os-transfers.accept": {"accept": {"auth_key": "k"}},
        "types.action.addProjectAccess": {"addProjectAccess": {"project": "p"}},
        "types.action.removeProjectAccess": {"removeProjectAccess": {"project": "p"}},
        "type_encryption.create": {
            "encryption": {"provider": "luks", "control_location": "front-end", "cipher": "aes", "key_size": 256}
        },
        "type_encryption.update": {
            "encryption": {"provider": "luks", "control_location": "front-end", "cipher": "aes", "key_size": "256"}
        },
        "default_types.set": {"default_type": {"volume_type": "__DEFAULT__"}},
        "qos.create": {"qos_specs": {"name": "n", "consumer": "both", "k": "v"}},
        "qos.update": {"qos_specs": {"consumer": "both", "k": "v"}},
        "qos.delete_keys": {"keys": ["k"]},
        "quota_class_sets.update": {"quota_class_set": {"volumes": 10, "gigabytes": "1000"}},
        "quota_sets.update": {"quota_set": {"volumes": 10, "gigabytes": "1000"}},
        "breezeblock.attach": {"volume_id": ids["volume_id"], "mode": "rw", "host": "h"},
        "breezeblock.detach": {"volume_id": ids["volume_id"], "force": False},
    }  # fmt: skip


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """On all three servers: what one of them takes, another may choke on."""
    engine = create_engine(database_url)
    metadata.create_all(engine)
    engine.dispose()
    store = Store(database_url, threads=2)
    store.write_sync(setup.prepare)
    rows.backend(store)
    yield store
    store.close()


WITH_BODY = {route.id: route for route in v3.routes() if route.body is not None}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be replaced."""
    yield path
    if isinstance(value, dict):
        for key, one in value.items():
            yield from places(one, (*path, key))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from places(one, (*path, at))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    out = copy.deepcopy(value)
    inner = out
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return out


def test_there_is_a_good_body_for_every_operation_with_one() -> None:
    assert (
        bodies(dict.fromkeys(("volume_id", "snapshot_id", "attachment_id"), NEW)).keys() == WITH_BODY.keys()
    )


@pytest.mark.parametrize("id", WITH_BODY)
def test_no_value_anywhere_is_a_defect(
    client: Client, store: Store, id: str, caplog: pytest.LogCaptureFixture
) -> None:
    route = WITH_BODY[id]
    volume = rows.volume(store, metadata='{"k":"v"}')
    kind = client.post(
        "/v3/types", {"volume_type": {"name": "own", "os-volume-type-access:is_public": False}}
    ).json()["volume_type"]["id"]
    encryption = {"encryption": {"provider": "luks", "control_location": "front-end"}}
    ids = {
        "volume_id": volume, "snapshot_id": rows.snapshot(store, volume), "attachment_id": rows.attachment(store, volume),
        "type_id": kind, "key": "k", "target_project_id": rows.PROJECT, "class": "default",
        "qos_id": client.post("/v3/qos-specs", {"qos_specs": {"name": "own", "k": "v"}}).json()["qos_specs"]["id"],
        "host": "store1@folder",
        "group_type_id": client.at("latest")
        .post("/v3/group_types", {"group_type": {"name": "own", "group_specs": {"k": "v"}}})
        .json()["group_type"]["id"],
        "transfer_id": client.post(
            "/v3/volume-transfers", {"transfer": {"volume_id": rows.volume(store)}}
        ).json()["transfer"]["id"],
        "encryption_id": client.post(f"/v3/types/{kind}/encryption", encryption).json()["encryption"]["encryption_id"],
    }  # fmt: skip
    path = "/v3" + route.path.format(**{name: ids[name] for name in route.values})
    good = bodies(ids)[id]
    latest = client.at("latest")
    for place in places(good):
        for value in HOSTILE if store.dialect == "sqlite" else FOR_SERVERS:
            answer = latest.ask(route.method, path, raw=json.dumps(replaced(good, place, value)).encode())
            # 504: the operation it began waits for an engine that is not there.
            assert answer.status < 500 or answer.status == 504, (place, value, answer)
            if answer.status >= 400:
                name, message = answer.fault
                assert name == NAMES.get(answer.status, "computeFault")
                assert 0 < len(message) < 2000
    assert "Traceback" not in caplog.text


GETS = [route for route in v3.routes() if route.method == "GET" and route.id != "breezeblock.openapi"]
QUERIES = (
    "limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count", "name", "status", "metadata", "bootable",
    "size", "created_at", "name~", "extra_specs", "is_public", "detail", "usage", "wait", "resource", "volume_type", "host", "project_id",
    "glance_metadata", "image_metadata", "consumes_quota", "volume_id", "instance_id", "kind", "state", "resource_id",
)  # fmt: skip
VALUES = (
    "", "%20", "x", "-1", "0", "99999999999999999999", "1.5", "true", "None", "[]", "['a']", "{}", "{'a':'b'}", "%7B'a':%7B%7D%7D",
    "%F0%9F%A7%B1", "%00", "%ff", "%25", "_", "gt:2020-01-01", "lt:9999-12-31T23:59:59-23:59",
    "id:asc,id:desc", "%27", "%22", "a" * 5000, "((((",
    "%5Cud800", "{'%5Cud800':'x'}", "1_000", "%D9%A3", "nan", "inf",
)  # fmt: skip


@pytest.mark.parametrize("route", GETS, ids=[route.id for route in GETS])
def test_no_query_is_a_defect(
    client: Client, store: Store, route: Any, caplog: pytest.LogCaptureFixture
) -> None:
    volume = rows.volume(store, metadata='{"k":"v"}')
    ids = dict.fromkeys(route.values, volume) | {"key": "k"}
    path = "/v3" + route.path.format(**ids)
    asked: tuple[str, ...] = QUERIES if "{" not in route.path else ("wait", "usage", "limit")
    if store.dialect != "sqlite":
        # Keys that a route does not read end at the edge, which is the same before all of them.
        asked = tuple({query.name for query in route.query} | ({"marker"} if route.query else set()))
    latest = client.at("latest")
    for key in asked:
        for value in VALUES if store.dialect == "sqlite" else VALUES[::3]:
            answer = latest.get(f"{path}?{key}={value}")
            assert answer.status < 500, (key, value, answer)
    assert "Traceback" not in caplog.text

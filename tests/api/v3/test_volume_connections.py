# SPDX-License-Identifier: Apache-2.0
"""The older way to attach, by actions on the volume."""

from __future__ import annotations

import pytest

from breezeblock.store import attachments
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.conftest import Engine
from tests.api.v3.test_attachments import INSTANCE, connects, fails

CONNECTOR = {"host": "host1", "ip": "192.0.2.1"}


def act(client: Client, id: str, action: str, body: object) -> int:
    return client.post(f"/v3/volumes/{id}/action", {action: body}).status


def of(store: Store, volume: str) -> list[str]:
    return [a.attach_status for a in store.read_sync(lambda tx: attachments.of_volume(tx, volume))]


def ends(store: Store, engine: Engine) -> None:
    """From now on the engine ends attachments."""
    from breezeblock.operations.attachment.delete import forget
    from breezeblock.store import history

    def end(operation_id: str) -> None:
        def write(tx: object) -> None:
            operation = history.get(tx, operation_id, None)  # type: ignore[arg-type]
            volume = attachments.get(tx, operation.resource_id).volume_id  # type: ignore[arg-type]
            forget(tx, operation.resource_id, volume)  # type: ignore[arg-type]
            history.finish(tx, operation_id, "succeeded", None)  # type: ignore[arg-type]

        store.write_sync(write)

    engine.ends = end


def test_a_volume_goes_all_the_way_and_back(client: Client, store: Store, engine: Engine) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-reserve", None) == 202
    connects(store, engine)
    answer = client.post(f"/v3/volumes/{id}/action", {"os-initialize_connection": {"connector": CONNECTOR}})
    assert answer.status == 200
    assert answer.json() == {
        "connection_info": {
            "driver_volume_type": "nbd",
            "data": {"path": "nbd://x"},
            "enforce_multipath": False,
        }
    }
    assert act(client, id, "os-attach", {"mountpoint": "/dev/vdb", "instance_uuid": INSTANCE}) == 202
    volume = client.get(f"/v3/volumes/{id}").json()["volume"]
    assert volume["status"] == "in-use"
    (shown,) = volume["attachments"]
    assert (shown["server_id"], shown["device"]) == (INSTANCE, "/dev/vdb")
    assert volume["metadata"]["attached_mode"] == "rw"
    assert act(client, id, "os-begin_detaching", None) == 202
    assert act(client, id, "os-terminate_connection", {"connector": CONNECTOR}) == 202
    assert of(store, id) == ["attached"]
    ends(store, engine)
    assert act(client, id, "os-detach", {"attachment_id": shown["attachment_id"]}) == 202
    assert (rows.seen(store, id).status, of(store, id)) == ("available", [])
    assert "attached_mode" not in client.get(f"/v3/volumes/{id}").json()["volume"]["metadata"]


def test_a_repeated_initialize_answers_the_same_connection(
    client: Client, store: Store, engine: Engine
) -> None:
    id = rows.volume(store, status="attaching")
    connects(store, engine)
    path, body = f"/v3/volumes/{id}/action", {"os-initialize_connection": {"connector": CONNECTOR}}
    assert client.post(path, body).json() == client.post(path, body).json()
    assert len(engine.waited) == 1


def test_a_terminate_ends_a_connection_that_nobody_attached_and_the_reservation(
    client: Client, store: Store, engine: Engine
) -> None:
    id = rows.volume(store, status="attaching")
    connects(store, engine)
    client.post(f"/v3/volumes/{id}/action", {"os-initialize_connection": {"connector": CONNECTOR}})
    ends(store, engine)
    assert act(client, id, "os-terminate_connection", {"connector": CONNECTOR}) == 202
    assert (rows.seen(store, id).status, of(store, id)) == ("available", [])


def test_a_terminate_without_a_connection_still_unreserves(client: Client, store: Store) -> None:
    id = rows.volume(store, status="attaching")
    assert act(client, id, "os-terminate_connection", {"connector": None}) == 202
    assert rows.seen(store, id).status == "available"


def test_an_initialize_that_fails_is_500_with_the_reason(
    client: Client, store: Store, engine: Engine
) -> None:
    fails(
        store,
        engine,
        {"code": "host.program-missing", "message": "no qemu-storage-daemon", "remedy": "Install it."},
    )
    answer = client.post(
        f"/v3/volumes/{rows.volume(store)}/action", {"os-initialize_connection": {"connector": CONNECTOR}}
    )
    assert (answer.status, answer.fault[0]) == (500, "computeFault")
    assert "no qemu-storage-daemon" in answer.fault[1]


def test_a_connector_that_no_target_takes_is_400(client: Client, store: Store, engine: Engine) -> None:
    fails(store, engine, {"code": "backend.unsupported", "message": "no target for it", "remedy": ""})
    body = {"os-initialize_connection": {"connector": CONNECTOR}}
    assert client.post(f"/v3/volumes/{rows.volume(store)}/action", body).status == 400


@pytest.mark.parametrize(
    "body",
    [None, {}, {"connector": None}, {"connector": {}}, {"connector": []}, {"connector": ""}, {"more": 1}],
)
def test_a_malformed_initialize_is_400(client: Client, store: Store, body: object) -> None:
    assert act(client, rows.volume(store), "os-initialize_connection", body) == 400


@pytest.mark.parametrize(
    "body",
    [
        None, {}, {"mountpoint": "/dev/vdb"}, {"mountpoint": "", "host_name": "h"}, {"instance_uuid": INSTANCE},
        {"mountpoint": "/dev/vdb", "instance_uuid": "x"}, {"mountpoint": "/dev/vdb", "host_name": "h", "mode": "wo"},
        {"mountpoint": "m" * 256, "host_name": "h"},
    ],
)  # fmt: skip
def test_a_malformed_attach_is_400(client: Client, store: Store, body: object) -> None:
    id = rows.volume(store)
    assert act(client, id, "os-attach", body) == 400
    assert rows.seen(store, id).status == "available"


@pytest.mark.parametrize("status", ["creating", "error", "in-use", "deleting", "maintenance"])
def test_an_attach_in_another_status_is_400(client: Client, store: Store, status: str) -> None:
    id = rows.volume(store, status=status)
    assert act(client, id, "os-attach", {"mountpoint": "/dev/vdb", "host_name": "h"}) == 400


def test_a_readonly_volume_is_attached_for_reading_only(client: Client, store: Store) -> None:
    id = rows.volume(store, admin_metadata='{"readonly":"True"}')
    assert act(client, id, "os-attach", {"mountpoint": "/dev/vdb", "host_name": "h"}) == 400
    assert act(client, id, "os-attach", {"mountpoint": "/dev/vdb", "host_name": "h", "mode": "ro"}) == 202
    assert rows.seen(store, id).attachments[0].attach_mode == "ro"


def test_a_detach_must_name_one_of_several(client: Client, store: Store) -> None:
    id = rows.volume(store, multiattach=True)
    first = rows.attached(store, id)
    rows.attached(store, id)
    assert act(client, id, "os-detach", {}) == 400
    assert act(client, id, "os-detach", {"attachment_id": "5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b"}) == 400
    assert act(client, id, "os-detach", {"attachment_id": "x"}) == 400
    assert act(client, id, "os-detach", {"attachment_id": first}) == 202
    assert rows.seen(store, id).status == "in-use"


@pytest.mark.parametrize("body", [None, {}, {"attachment_id": None}])
def test_a_detach_of_the_only_one_needs_no_name(client: Client, store: Store, body: object) -> None:
    id = rows.volume(store)
    rows.attached(store, id)
    assert act(client, id, "os-detach", body) == 202
    assert rows.seen(store, id).status == "available"


def test_a_forced_detach_ends_it_for_administrators(client: Client, store: Store, engine: Engine) -> None:
    id = rows.volume(store)
    attachment = rows.attached(
        store, id, connection='{"driver_volume_type":"nbd"}', connector='{"host":"host1"}'
    )
    ends(store, engine)
    body = {"attachment_id": attachment, "connector": None}
    assert act(client, id, "os-force_detach", body) == 202
    assert rows.seen(store, id).status == "available"

# SPDX-License-Identifier: Apache-2.0
"""A volume in every version: no field too many, none too few."""

from __future__ import annotations

import pytest

from breezeblock.store import volumes
from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.contract_views import (
    ATTACHED,
    MINORS,
    VOLUME,
    VOLUME_ADMIN,
    VOLUME_EXTENDED,
    VOLUME_EXTENDED_ADMIN,
    VOLUME_SUMMARY,
    fields,
)


@pytest.mark.parametrize("minor", MINORS)
def test_show_and_detail_hold_exactly_the_fields_of_the_version(
    client: Client, member: Client, store: Store, minor: int
) -> None:
    id = rows.volume(store)
    mine = fields(VOLUME, minor) | VOLUME_EXTENDED
    admins = mine | fields(VOLUME_ADMIN, minor) | VOLUME_EXTENDED_ADMIN
    for asker, expected in ((client, admins), (member, mine)):
        asker = asker.at(f"3.{minor}")
        assert set(asker.get(f"/v3/volumes/{id}").json()["volume"]) == expected
        (listed,) = asker.get("/v3/volumes/detail").json()["volumes"]
        assert set(listed) == expected
        (short,) = asker.get("/v3/volumes").json()["volumes"]
        assert set(short) == VOLUME_SUMMARY


@pytest.mark.parametrize("minor", [0, 13, 48, 65, 71])
def test_create_and_update_lack_the_attributes_of_the_extensions(member: Client, minor: int) -> None:
    asker = member.at(f"3.{minor}")
    made = asker.post("/v3/volumes", {"volume": {"size": 1}}).json()["volume"]
    assert set(made) == fields(VOLUME, minor)
    changed = asker.put(f"/v3/volumes/{made['id']}", {"volume": {"name": "n"}}).json()["volume"]
    assert set(changed) == fields(VOLUME, minor)


def test_types_of_values_are_what_clients_expect(client: Client, store: Store) -> None:
    id = rows.volume(store, bootable=True)
    volume = client.get(f"/v3/volumes/{id}").json()["volume"]
    assert volume["bootable"] == "true"
    assert volume["encrypted"] is False
    assert volume["multiattach"] is False
    assert volume["updated_at"] is None
    assert volume["snapshot_id"] is None
    assert volume["os-vol-host-attr:host"] == "store1@folder#pool"
    assert len(volume["created_at"]) == 26
    assert "+" not in volume["created_at"]


def test_links_repeat_the_project_only_when_the_request_had_it(client: Client, store: Store) -> None:
    id = rows.volume(store)
    base = "http://cloud.example:8776"
    plain = client.get(f"/v3/volumes/{id}").json()["volume"]["links"]
    assert plain == [
        {"rel": "self", "href": f"{base}/v3/volumes/{id}"},
        {"rel": "bookmark", "href": f"{base}/volumes/{id}"},
    ]
    with_project = client.get(f"/v3/{rows.PROJECT}/volumes/{id}").json()["volume"]["links"]
    assert with_project == [
        {"rel": "self", "href": f"{base}/v3/{rows.PROJECT}/volumes/{id}"},
        {"rel": "bookmark", "href": f"{base}/{rows.PROJECT}/volumes/{id}"},
    ]


def test_an_attachment_is_shown_when_it_is_attached_and_its_host_to_administrators(
    client: Client, member: Client, store: Store
) -> None:
    id = rows.volume(store)
    rows.attachment(store, id, attach_status="reserved")
    attachment = rows.attached(store, id, instance_uuid="99999999-9999-4999-8999-999999999999")
    (shown,) = client.get(f"/v3/volumes/{id}").json()["volume"]["attachments"]
    assert set(shown) == ATTACHED
    assert (shown["id"], shown["attachment_id"], shown["volume_id"]) == (id, attachment, id)
    assert (shown["server_id"], shown["host_name"], shown["device"]) == (
        "99999999-9999-4999-8999-999999999999",
        "host1",
        "/dev/vdb",
    )
    (listed,) = member.get("/v3/volumes/detail").json()["volumes"]
    assert [a["host_name"] for a in listed["attachments"]] == [None]


def test_readonly_and_attached_mode_are_shown_among_the_metadata(client: Client, store: Store) -> None:
    hidden = '{"readonly":"True","attached_mode":"ro","secret":"x"}'
    id = rows.volume(store, metadata='{"a":"1"}', admin_metadata=hidden)
    assert client.get(f"/v3/volumes/{id}").json()["volume"]["metadata"] == {
        "a": "1",
        "readonly": "True",
        "attached_mode": "ro",
    }


def test_image_metadata_is_there_only_when_there_is_some(client: Client, store: Store) -> None:
    with_image = rows.volume(store, image_metadata='{"os":"debian"}')
    shown = client.get(f"/v3/volumes/{with_image}").json()["volume"]
    assert shown["volume_image_metadata"] == {"os": "debian"}
    without = rows.volume(store)
    assert "volume_image_metadata" not in client.get(f"/v3/volumes/{without}").json()["volume"]


def test_shared_targets_may_be_null_from_3_69(client: Client, store: Store) -> None:
    id = rows.volume(store)
    assert client.at("3.68").get(f"/v3/volumes/{id}").json()["volume"]["shared_targets"] is True
    assert client.at("3.69").get(f"/v3/volumes/{id}").json()["volume"]["shared_targets"] is None
    store.write_sync(lambda tx: volumes.write(tx, id, shared_targets=False))
    assert client.at("3.68").get(f"/v3/volumes/{id}").json()["volume"]["shared_targets"] is False


def test_the_encryption_key_is_shown_from_3_64_unless_it_is_the_fixed_one(
    client: Client, store: Store
) -> None:
    key, fixed = "12345678-1234-4234-8234-123456789012", "00000000-0000-0000-0000-000000000000"
    own, shared = rows.volume(store, encryption_key_id=key), rows.volume(store, encryption_key_id=fixed)
    assert client.at("3.64").get(f"/v3/volumes/{own}").json()["volume"]["encryption_key_id"] == key
    assert "encryption_key_id" not in client.at("3.63").get(f"/v3/volumes/{own}").json()["volume"]
    answer = client.at("3.64").get(f"/v3/volumes/{shared}").json()["volume"]
    assert "encryption_key_id" not in answer
    assert answer["encrypted"] is True

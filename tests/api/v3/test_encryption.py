# SPDX-License-Identifier: Apache-2.0
"""A type's encryption, and what a volume tells of its own."""

from __future__ import annotations

from typing import Any

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client
from tests.api.v3.test_types import UNKNOWN, made

LUKS = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": "256"}


def define(client: Client, kind: str, **more: Any) -> str:
    answer = client.post(f"/v3/types/{kind}/encryption", {"encryption": {**LUKS, **more}})
    assert answer.status == 200, answer
    return str(answer.json()["encryption"]["encryption_id"])


def test_a_type_without_one_shows_nothing(client: Client) -> None:
    kind = made(client, "gold")
    assert client.get(f"/v3/types/{kind}/encryption").json() == {}
    assert client.get(f"/v3/types/{kind}/encryption/cipher").status == 404


def test_it_is_defined_once_changed_and_deleted(client: Client) -> None:
    kind = made(client, "gold")
    path = f"/v3/types/{kind}/encryption"
    id = define(client, kind)
    shown = client.get(path).json()
    assert set(shown) == {
        "volume_type_id", "encryption_id", "control_location", "cipher", "key_size", "provider", "created_at", "updated_at",
        "deleted", "deleted_at",
    }  # fmt: skip
    assert (shown["encryption_id"], shown["volume_type_id"], shown["key_size"]) == (id, kind, 256)
    assert client.get(f"{path}/cipher").json() == {"cipher": "aes-xts-plain64"}
    assert client.get(f"{path}/nothing").status == 404
    assert client.post(path, {"encryption": LUKS}).status == 400
    answer = client.put(f"{path}/{id}", {"encryption": {"key_size": 512, "cipher": None}})
    assert (answer.status, answer.json()) == (200, {"encryption": {"cipher": None, "key_size": 512}})
    assert client.get(path).json()["provider"] == "luks"
    assert client.put(f"{path}/provider", {"encryption": {"provider": "luks"}}).status == 200, (
        "as cinder does"
    )
    assert client.put(f"{path}/{UNKNOWN}", {"encryption": {"key_size": 512}}).status == 404
    assert client.delete(f"{path}/{UNKNOWN}").status == 404
    assert client.delete(f"{path}/{id}").status == 202
    assert client.get(path).json() == {}
    assert client.delete(f"{path}/{id}").status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"provider": None}, {"provider": "p" * 256}, {"control_location": "middle"}, {"key_size": -1}, {"key_size": "x"},
        {"key_size": "99999999999"}, {"key_size": 1.5}, {"cipher": 1}, {"more": 1},
    ],
)  # fmt: skip
def test_what_is_not_right_is_400(client: Client, change: dict[str, Any]) -> None:
    kind = made(client, "gold")
    assert client.post(f"/v3/types/{kind}/encryption", {"encryption": {**LUKS, **change}}).status == 400
    assert client.get(f"/v3/types/{kind}/encryption").json() == {}


def test_the_encryption_of_a_type_that_volumes_have_stays(client: Client, store: Store) -> None:
    kind = made(client, "gold")
    rows.volume(store, volume_type_id=kind)
    assert client.post(f"/v3/types/{kind}/encryption", {"encryption": LUKS}).status == 400


def test_no_volume_is_made_unencrypted_of_a_type_that_encrypts(client: Client) -> None:
    kind = made(client, "gold")
    define(client, kind)
    answer = client.post("/v3/volumes", {"volume": {"size": 1, "volume_type": "gold"}})
    assert answer.status == 400
    assert "encrypt" in answer.fault[1]
    assert client.get("/v3/volumes").json()["volumes"] == []


def test_a_plain_volume_tells_only_that_it_has_no_key(client: Client, reader: Client, store: Store) -> None:
    path = f"/v3/volumes/{rows.volume(store)}/encryption"
    assert reader.get(path).json() == {"encryption_key_id": None}
    bare = reader.get(f"{path}/encryption_key_id")
    assert (bare.status, bare.body) == (200, b"")
    assert reader.get(f"{path}/cipher").status == 404


def test_an_encrypted_volume_tells_its_keys_id_and_its_types_way(
    client: Client, reader: Client, store: Store
) -> None:
    kind = made(client, "gold")
    define(client, kind)
    key = "11111111-2222-3333-4444-555555555555"
    path = f"/v3/volumes/{rows.volume(store, volume_type_id=kind, encryption_key_id=key)}/encryption"
    assert reader.get(path).json() == {
        "encryption_key_id": key, "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256, "provider": "luks",
    }  # fmt: skip
    bare = reader.get(f"{path}/key_size")
    assert bare.body == b"256"
    assert bare.headers["content-type"].startswith("text/plain")
    assert reader.get(f"/v3/volumes/{UNKNOWN}/encryption").status == 404


def test_a_types_encryption_is_for_administrators(client: Client, member: Client) -> None:
    kind = made(client, "gold")
    assert member.get(f"/v3/types/{kind}/encryption").status == 403
    assert member.post(f"/v3/types/{kind}/encryption", {"encryption": LUKS}).status == 403

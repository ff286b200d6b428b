# SPDX-License-Identifier: Apache-2.0
"""Metadata of volumes and snapshots: the whole and its keys."""

from __future__ import annotations

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client

A = '{"a":"1"}'


@pytest.fixture(params=["volumes", "snapshots"])
def path(request: pytest.FixtureRequest, store: Store) -> str:
    volume = rows.volume(store, metadata=A)
    if request.param == "volumes":
        return f"/v3/volumes/{volume}/metadata"
    return f"/v3/snapshots/{rows.snapshot(store, volume, metadata=A)}/metadata"


def test_the_whole_can_be_read_merged_and_replaced(client: Client, path: str) -> None:
    assert client.get(path).json() == {"metadata": {"a": "1"}}
    merged = client.post(path, {"metadata": {"b": "2"}})
    assert (merged.status, merged.json()) == (200, {"metadata": {"a": "1", "b": "2"}})
    replaced = client.put(path, {"metadata": {"c": "3"}})
    assert (replaced.status, replaced.json()) == (200, {"metadata": {"c": "3"}})
    assert client.put(path, {"metadata": {}}).json() == {"metadata": {}}


def test_a_single_key_can_be_read_set_and_removed(client: Client, path: str) -> None:
    assert client.get(f"{path}/a").json() == {"meta": {"a": "1"}}
    answer = client.put(f"{path}/a", {"meta": {"a": "ü"}})
    assert (answer.status, answer.json()) == (200, {"meta": {"a": "ü"}})
    assert client.get(path).json() == {"metadata": {"a": "ü"}}
    gone = client.delete(f"{path}/a")
    assert (gone.status, gone.body) == (200, b"")
    assert client.get(f"{path}/a").status == 404
    assert client.delete(f"{path}/a").status == 404


@pytest.mark.parametrize(
    "body", [{"meta": {}}, {"meta": {"a": "1", "b": "2"}}, {"meta": {"b": "2"}}, {"metadata": {"a": "1"}}, {}]
)
def test_a_single_key_takes_exactly_its_own_pair(client: Client, path: str, body: object) -> None:
    assert client.put(f"{path}/a", body).status == 400


@pytest.mark.parametrize(
    "metadata",
    [None, [], {"": "x"}, {"k" * 256: "x"}, {"k": "v" * 256}, {"k": None}, {"k\n": "x"}, {"a*b": "x"}],
)
def test_malformed_metadata_is_400_and_changes_nothing(client: Client, path: str, metadata: object) -> None:
    assert client.post(path, {"metadata": metadata}).status == 400
    assert client.put(path, {"metadata": metadata}).status == 400
    assert client.get(path).json() == {"metadata": {"a": "1"}}


def test_a_slash_is_for_volumes_only(client: Client, path: str) -> None:
    assert client.post(path, {"metadata": {"a/b": "x"}}).status == (200 if "volumes" in path else 400)


@pytest.mark.parametrize("status", ["maintenance", "uploading"])
def test_a_volumes_metadata_is_frozen_in_some_statuses(client: Client, store: Store, status: str) -> None:
    path = f"/v3/volumes/{rows.volume(store, status=status, metadata=A)}/metadata"
    assert client.post(path, {"metadata": {"b": "2"}}).status == 400
    assert client.put(path, {"metadata": {}}).status == 400
    assert client.put(f"{path}/a", {"meta": {"a": "2"}}).status == 400
    assert client.delete(f"{path}/a").status == 400
    assert client.get(path).json() == {"metadata": {"a": "1"}}


def test_if_match_guards_a_change_from_3_15(client: Client, store: Store) -> None:
    path = f"/v3/volumes/{rows.volume(store, metadata=A)}/metadata"
    new, old = client.at("3.15"), client.at("3.14")
    tag = new.get(path).headers["etag"]
    assert "etag" not in old.get(path).headers
    assert len(tag) == 32
    stale = new.put(path, {"metadata": {"b": "1"}}, headers={"If-Match": "0" * 32})
    assert (stale.status, stale.fault[0]) == (412, "computeFault")
    assert new.put(f"{path}/a", {"meta": {"a": "2"}}, headers={"If-Match": "0" * 32}).status == 412
    assert new.put(path, {"metadata": {"b": "1"}}, headers={"If-Match": f'"{tag}"'}).status == 200
    assert old.put(path, {"metadata": {"c": "1"}}, headers={"If-Match": "0" * 32}).status == 200

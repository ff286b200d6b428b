# SPDX-License-Identifier: Apache-2.0
"""Filters of lists, by version and by role."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client


def names(client: Client, query: str) -> list[str]:
    answer = client.get(f"/v3/volumes?sort=name:asc&{query}")
    assert answer.status == 200, answer
    return [one["name"] for one in answer.json()["volumes"]]


@pytest.fixture
def three(store: Store) -> None:
    rows.volume(store, name="alpha", size=1, metadata='{"colour":"red","n":"1"}', bootable=True)
    rows.volume(store, name="beta", size=2, metadata='{"colour":"red"}', status="error")
    rows.volume(store, name="100%_sure", size=2, created_at="2020-01-01T00:00:00.000000")


@pytest.mark.usefixtures("three")
class TestFilters:
    def test_a_column_is_compared_as_it_is(self, member: Client) -> None:
        assert names(member, "name=alpha") == ["alpha"]
        assert names(member, "display_name=alpha") == ["alpha"]
        assert names(member, "status=error") == ["beta"]
        assert names(member, "size=2") == ["100%_sure", "beta"]
        assert names(member, "availability_zone=nova&status=error") == ["beta"]

    @pytest.mark.parametrize(
        "query", ["name=nobody", "status=nothing", "size=x", "size=99999999999999999999", "status=[]"]
    )
    def test_a_value_that_nothing_has_gives_an_empty_list(self, member: Client, query: str) -> None:
        assert names(member, query) == []

    def test_a_list_means_any_of_them(self, member: Client) -> None:
        assert names(member, "name=" + quote("['alpha', 'beta']")) == ["alpha", "beta"]

    def test_metadata_is_a_python_or_json_literal_and_all_of_it_must_be_there(self, member: Client) -> None:
        assert names(member, "metadata=" + quote("{'colour': 'red'}")) == ["alpha", "beta"]
        assert names(member, "metadata=" + quote('{"colour": "red", "n": "1"}')) == ["alpha"]
        assert names(member, "metadata=" + quote("{'colour': 'blue'}")) == []
        assert names(member, "metadata=" + quote("{'a\".b': 'x'}")) == []

    @pytest.mark.parametrize(
        "value",
        ["red", "[1]", "{", "{1: 2}", "{'a': 'b'" + "(" * 3000, "__import__('os')", "{'\\ud800': 'x'}"],
    )
    def test_metadata_that_is_no_object_is_400(self, member: Client, value: str) -> None:
        assert member.get("/v3/volumes?metadata=" + quote(value)).status == 400

    def test_bootable_is_strict_from_3_2(self, member: Client) -> None:
        assert names(member.at("3.2"), "bootable=true") == ["alpha"]
        assert names(member.at("3.2"), "bootable=False") == ["100%_sure", "beta"]
        assert member.at("3.2").get("/v3/volumes?bootable=perhaps").status == 400
        assert names(member.at("3.1"), "bootable=perhaps") == ["alpha"]

    def test_an_unknown_key_is_dropped_below_3_31_and_refused_from_there(self, member: Client) -> None:
        assert len(names(member.at("3.30"), "mystery=1")) == 3
        assert member.at("3.31").get("/v3/volumes?mystery=1").status == 400
        assert member.at("3.31").get("/v3/volumes?user_id=x").status == 400

    def test_an_administrator_may_filter_by_any_column(self, client: Client) -> None:
        assert len(names(client.at("3.31"), f"user_id={rows.USER}")) == 3
        assert len(names(client, "host=" + quote("store1@folder#pool"))) == 3
        assert names(client, "mystery=1") == []
        assert client.at("3.31").get("/v3/volumes?mystery=1").status == 400

    def test_group_id_and_consumes_quota_are_filters_from_their_versions(self, member: Client) -> None:
        assert len(names(member.at("3.9"), "group_id=none")) == 3
        assert names(member.at("3.10"), "group_id=none") == []
        assert member.at("3.64").get("/v3/volumes?consumes_quota=true").status == 400
        assert len(names(member.at("3.65"), "consumes_quota=true")) == 3
        assert member.at("3.65").get("/v3/volumes?consumes_quota=x").status == 400

    def test_a_likeness_is_a_part_of_the_text_and_its_wildcards_are_text(self, member: Client) -> None:
        assert names(member.at("3.34"), "name~=et") == ["beta"]
        assert names(member.at("3.34"), "name~=" + quote("%_s")) == ["100%_sure"]
        assert names(member.at("3.34"), "name~=" + quote("_")) == ["100%_sure"]
        assert member.at("3.33").get("/v3/volumes?name~=et").status == 400
        assert member.at("3.34").get("/v3/volumes?size~=2").status == 400

    def test_times_are_compared_from_3_60(self, member: Client) -> None:
        latest = member.at("3.60")
        assert names(latest, "created_at=lt:2021-01-01T00:00:00") == ["100%_sure"]
        assert names(
            latest, "created_at=" + quote("gte:2020-01-01T00:00:00,lte:2020-01-01T01:00:00+01:00")
        ) == ["100%_sure"]
        assert names(latest, "created_at=neq:2020-01-01T00:00:00") == ["alpha", "beta"]
        assert names(latest, "created_at=2020-01-01T00:00:00") == ["100%_sure"]

    @pytest.mark.parametrize(
        "value",
        ["gt:yesterday", "after:2020-01-01", "gt:", "gt:2020-13-01", "x", "gt:0001-01-01T00:00:00+23:00"],
    )
    def test_a_bad_time_or_comparison_is_400(self, member: Client, value: str) -> None:
        assert member.at("3.60").get("/v3/volumes?created_at=" + quote(value)).status == 400

    def test_a_key_that_is_not_ascii_is_400(self, member: Client) -> None:
        assert member.get("/v3/volumes?" + quote("näme") + "=x").status == 400


def test_resource_filters_tell_what_each_list_knows(member: Client) -> None:
    latest = member.at("3.33")
    (volume,) = latest.get("/v3/resource_filters?resource=volume").json()["resource_filters"]
    assert volume == {
        "resource": "volume",
        "filters": [
            "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at",
            "updated_at", "consumes_quota",
        ],
    }  # fmt: skip
    assert len(latest.get("/v3/resource_filters").json()["resource_filters"]) == 9
    assert latest.get("/v3/resource_filters?resource=nothing").json() == {"resource_filters": []}


@pytest.mark.parametrize(
    "path", ["/v3/snapshots", "/v3/snapshots/detail", "/v3/attachments", "/v3/types", "/v3/messages"]
)
@pytest.mark.parametrize(
    "query", ["limit=invalid", "sort=nothing", "marker=5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b", "mystery=1"]
)
def test_every_list_refuses_alike(member: Client, path: str, query: str) -> None:
    answer = member.at("latest").get(f"{path}?{query}")
    assert answer.status == (404 if query.startswith("marker") else 400)

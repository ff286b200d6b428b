# SPDX-License-Identifier: Apache-2.0
"""Limit, marker, offset, order, count and next links."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from breezeblock.store.database import Store
from tests.api import rows
from tests.api.asgi import Client

UNKNOWN = "5d7e9c53-7a6b-4d5b-9d1b-1c2d3e4f5a6b"


def made(store: Store, count: int, **facts: Any) -> list[str]:
    """Ids, oldest first."""
    return [
        rows.volume(store, name=f"v{n}", created_at=f"2026-11-21T07:43:{n:02}.000000", **facts)
        for n in range(count)
    ]


def ids(answer: object) -> list[str]:
    return [one["id"] for one in answer.json()["volumes"]]  # type: ignore[attr-defined]


def test_the_newest_come_first_when_nothing_is_said(client: Client, store: Store) -> None:
    wanted = made(store, 3)
    assert ids(client.get("/v3/volumes")) == wanted[::-1]


@pytest.mark.parametrize("path", ["/v3/volumes", "/v3/volumes/detail", f"/v3/{rows.PROJECT}/volumes/detail"])
def test_following_the_next_links_literally_sees_everything_once_and_keeps_the_query(
    client: Client, store: Store, path: str
) -> None:
    wanted = made(store, 5)
    made(store, 1, status="error")
    seen: list[str] = []
    url = f"{path}?limit=2&status=available&sort=name:asc"
    for _ in range(4):
        answer = client.get(url)
        seen += ids(answer)
        links = answer.json().get("volumes_links")
        if links is None:
            break
        ((rel, href),) = [(link["rel"], link["href"]) for link in links]
        assert rel == "next"
        assert parse_qs(urlsplit(href).query)["status"] == ["available"]
        assert href.startswith("http://cloud.example:8776" + path + "?")
        url = href.removeprefix("http://cloud.example:8776")
    assert seen == wanted


def test_there_is_no_next_link_on_a_page_that_is_not_full_or_is_empty(client: Client, store: Store) -> None:
    made(store, 2)
    assert "volumes_links" not in client.get("/v3/volumes?limit=3").json()
    assert "volumes_links" in client.get("/v3/volumes?limit=2").json()
    assert client.get("/v3/volumes?limit=0").json() == {"volumes": []}


def test_the_limit_is_capped_by_the_service(client: Client, store: Store) -> None:
    made(store, 1)
    assert "volumes_links" not in client.get("/v3/volumes?limit=99999").json()


@pytest.mark.parametrize(
    "query",
    [
        "limit=invalid", "limit=-1", "limit=", "limit=1.5", "limit=1_0", "limit=99999999999", "offset=-1", "offset=x",
        "offset=2147483648", "sort=nothing", "sort=name:sideways", "sort=name:asc&sort_key=name", "sort_key=nothing",
        "sort_key=name&sort_dir=up", "sort=metadata_json", "sort=id;drop", "all_tenants=perhaps",
    ],
)  # fmt: skip
def test_bad_paging_is_400(client: Client, query: str) -> None:
    answer = client.get(f"/v3/volumes?{query}")
    assert (answer.status, answer.fault[0]) == (400, "badRequest")


def test_an_unknown_marker_is_404(client: Client, member: Client, store: Store) -> None:
    (theirs,) = made(store, 1, project_id=rows.OTHER_PROJECT)
    assert client.get(f"/v3/volumes?marker={UNKNOWN}").status == 404
    assert client.get("/v3/volumes?marker=x").status == 404
    assert member.get(f"/v3/volumes?marker={theirs}").status == 404


def test_an_offset_skips(client: Client, store: Store) -> None:
    wanted = made(store, 3)
    assert ids(client.get("/v3/volumes?sort=name:asc&offset=1&limit=1")) == [wanted[1]]


def test_sort_takes_several_keys_and_a_bare_key_goes_down(client: Client, store: Store) -> None:
    a, b, c = (rows.volume(store, name=name, size=size) for name, size in (("x", 1), ("x", 2), ("y", 1)))
    assert ids(client.get("/v3/volumes?sort=name,size:asc")) == [c, a, b]
    assert ids(client.get("/v3/volumes?sort_key=size&sort_dir=asc&limit=1")) in ([a], [c])
    assert ids(client.get("/v3/volumes?sort_key=display_name&limit=1")) == [c]
    assert b in ids(client.get("/v3/volumes?sort_key=size&limit=1"))


@pytest.mark.parametrize(
    "key", ["name", "status", "size", "created_at", "availability_zone", "bootable", "host", "id"]
)
def test_pages_in_any_order_meet_every_row_once(client: Client, store: Store, key: str) -> None:
    for n in range(5):
        rows.volume(
            store, name=None if n % 2 else "same", size=1 + n % 2, created_at="2026-11-21T07:43:43.000000"
        )
    for direction in ("asc", "desc"):
        whole = ids(client.get(f"/v3/volumes?sort={key}:{direction}"))
        assert len(set(whole)) == 5
        paged: list[str] = []
        marker = ""
        while page := ids(client.get(f"/v3/volumes?sort={key}:{direction}&limit=2{marker}")):
            paged += page
            marker = f"&marker={page[-1]}"
        assert paged == whole


def test_with_count_adds_the_number_of_all_from_3_45(client: Client, store: Store) -> None:
    made(store, 3)
    assert client.at("3.45").get("/v3/volumes?with_count=true&limit=1").json()["count"] == 3
    assert client.at("3.45").get("/v3/volumes/detail?with_count=1&name=v1").json()["count"] == 1
    assert "count" not in client.at("3.45").get("/v3/volumes?with_count=false").json()
    assert "count" not in client.at("3.44").get("/v3/volumes?with_count=true").json()
    assert client.at("3.45").get("/v3/volumes?with_count=many").status == 400


def test_all_tenants_is_for_administrators_and_ignored_for_others(
    client: Client, member: Client, store: Store
) -> None:
    (mine,), (theirs,) = made(store, 1), made(store, 1, project_id=rows.OTHER_PROJECT)
    assert ids(client.get("/v3/volumes")) == [mine]
    assert set(ids(client.get("/v3/volumes?all_tenants=1"))) == {mine, theirs}
    assert ids(client.get(f"/v3/volumes?all_tenants=1&project_id={rows.OTHER_PROJECT}")) == [theirs]
    assert ids(member.get("/v3/volumes?all_tenants=1")) == [mine]
    assert ids(member.get(f"/v3/volumes?all_tenants=1&project_id={rows.OTHER_PROJECT}")) == [mine]

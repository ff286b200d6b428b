# SPDX-License-Identifier: Apache-2.0
"""How many queries a request costs: the table below is the budget. A number may fall; whoever lets one rise says why beside it. Counted
as SQLite receives them, from the second request on (the first one fills what is remembered); BEGIN, COMMIT and savepoints are no queries.
A statement that is run for several rows counts once for each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench import rows
from tests.bench.inside import Inside
from tests.budget.conftest import ATTACHMENT, SNAPSHOT, VOLUMES

PLAIN, ATTACHED = rows.id_of(1), rows.id_of(VOLUMES - 1)
VOLUME = {"volume": {"size": 1, "name": "counted", "metadata": {"a": "b"}}}

READS: dict[str, int] = {
    # the heads of the page; everything else is remembered
    "/v3/volumes?limit=100&sort=created_at:asc": 1,
    "/v3/volumes/detail?limit=100&sort=created_at:asc": 1,
    # the marker's place
    f"/v3/volumes/detail?limit=100&sort=created_at:asc&marker={rows.id_of(50)}": 2,
    # and the attachments, because one of these volumes is attached
    "/v3/volumes/detail?limit=100": 2,
    "/v3/volumes/detail?with_count=true&limit=100&sort=created_at:asc": 2,
    f"/v3/volumes/{PLAIN}": 1,
    f"/v3/volumes/{ATTACHED}": 2,
    "/v3/volumes/summary": 2,
    f"/v3/volumes/{PLAIN}/metadata": 1,
    "/v3/snapshots/detail": 1,
    f"/v3/snapshots/{SNAPSHOT}": 1,
    "/v3/attachments/detail": 1,
    # and its volume, with what else is attached to it
    f"/v3/attachments/{ATTACHMENT}": 3,
    "/v3/types": 1,
    "/v3/types/default": 1,
    "/v3/limits": 2,
    "/v3/messages": 1,
    "/v3/breezeblock/operations": 2,
}

WRITES: dict[str, tuple[str, str, Any, int]] = {
    # type; limits; usage; charges; usages; volume; operation
    "create": ("POST", "/v3/volumes", VOLUME, 7),
    # volume; its snapshots; the move; pins; backend; operation and its number; key, conflict, grant, unblock
    "delete": ("DELETE", f"/v3/volumes/{PLAIN}", None, 11),
    "rename": ("PUT", f"/v3/volumes/{PLAIN}", {"volume": {"name": "other"}}, 3),
    "metadata": ("POST", f"/v3/volumes/{PLAIN}/metadata", {"metadata": {"c": "d"}}, 3),
}


@pytest.mark.parametrize("path", READS)
def test_a_read_keeps_to_its_budget(inside: Inside, path: str) -> None:
    inside.ask("GET", path)
    queries = [s.text for s in inside.statements("GET", path) if not s.controls]
    assert len(queries) <= READS[path], "\n".join(queries)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_keeps_to_its_budget(inside: Inside, name: str) -> None:
    method, path, body, budget = WRITES[name]
    inside.ask("POST", "/v3/volumes", VOLUME)
    queries = [s.text for s in inside.statements(method, path, body) if not s.controls]
    assert len(queries) <= budget, "\n".join(queries)


def test_a_list_costs_the_same_queries_whatever_its_length(inside: Inside) -> None:
    found = {}
    for limit in (1, 10, 100):
        path = f"/v3/volumes/detail?sort=created_at:asc&limit={limit}"
        inside.ask("GET", path)
        found[limit] = len([s for s in inside.statements("GET", path) if not s.controls])
    assert len(set(found.values())) == 1, found


def test_what_changed_is_read_by_one_query_more(inside: Inside) -> None:
    path = "/v3/volumes/detail?limit=100&sort=created_at:asc"
    inside.ask("GET", path)
    inside.ask("PUT", f"/v3/volumes/{PLAIN}", {"volume": {"name": "changed"}})
    queries = [s.text for s in inside.statements("GET", path) if not s.controls]
    assert len(queries) == 2, "\n".join(queries)
    assert inside.ask("GET", path).document["volumes"][0]["name"] == "changed"


def test_nothing_is_asked_for_who_is_not_known(inside: Inside) -> None:
    assert inside.ask("GET", "/v3/volumes/detail", headers={"x-auth-token": "wrong"}).status == 401
    assert inside.seen() == []

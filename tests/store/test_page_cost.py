# SPDX-License-Identifier: Apache-2.0
"""What a page costs in a hundred thousand volumes: an index leads to it, and page 900 costs what page 1 costs. Counted in steps of SQLite's
machine, not in time, so that a busy machine cannot change the answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from breezeblock.model.paging import PageQuery
from breezeblock.store import setup, volumes
from breezeblock.store.database import Store
from breezeblock.store.paging import paged
from breezeblock.store.schema import volumes as table
from breezeblock.store.transaction import Tx

ROWS, PROJECTS, LIMIT = 100_000, 2, 50

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crowded(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path = shutil.copy(migrated_file, tmp_path_factory.mktemp("crowd") / "crowd.sqlite")
    store = Store(f"sqlite:///{path}")

    def fill(tx: Tx) -> None:
        setup.prepare(tx)
        fixed = {
            "user_id": "u", "size": 1, "status": "available", "attach_status": "detached", "bootable": False, "multiattach": False,
            "consumes_quota": True, "metadata": "{}", "admin_metadata": "{}", "image_metadata": "{}", "object": "", "version": 1,
        }  # fmt: skip
        many = [
            fixed
            | {
                "id": f"{n:08d}-0000-4000-8000-000000000000",
                "project_id": f"p{n % PROJECTS}",
                "name": f"name {n:06d}",
                "created_at": f"2026-01-01T00:{n // 6000:02d}:{n // 100 % 60:02d}.000000",
            }
            for n in range(ROWS)
        ]
        tx.execute(insert(table), many)

    store.write_sync(fill)
    yield store
    store.close()


def _steps(store: Store, fn: Callable[[Tx], Any]) -> tuple[int, Any]:
    """Tens of virtual machine steps that a store function costs, and its answer."""

    def counted(tx: Tx) -> tuple[int, Any]:
        raw: Any = tx.conn.connection.dbapi_connection
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1

        raw.set_progress_handler(step, 10)
        try:
            return steps, fn(tx)
        finally:
            raw.set_progress_handler(None, 10)
            raw.execute("SELECT 1")
            total.append(steps)

    total: list[int] = []
    answer = store.read_sync(counted)[1]
    return total[0], answer


def _query(number: int, project: str | None) -> PageQuery:
    """The page of that number, newest first; its marker is made from how the rows were made."""
    if number == 1:
        return PageQuery(limit=LIMIT, project_id=project)
    step = PROJECTS if project else 1
    last = ROWS - 1 if project is None else ROWS - PROJECTS + int(project[1:])
    marker = last - step * ((number - 1) * LIMIT - 1)
    return PageQuery(limit=LIMIT, project_id=project, marker=f"{marker:08d}-0000-4000-8000-000000000000")


@pytest.mark.parametrize("project", ["p1", None])
def test_a_deep_page_costs_what_the_first_one_costs(crowded: Store, project: str | None) -> None:
    first, page = _steps(crowded, lambda tx: volumes.page(tx, _query(1, project)))
    deep, deeper = _steps(crowded, lambda tx: volumes.page(tx, _query(900, project)))
    assert len(page) == len(deeper) == LIMIT
    assert len({v.id for v in (*page, *deeper)}) == 2 * LIMIT
    print(f"page 1: {first * 10} steps, page 900: {deep * 10} steps")
    assert deep < first * 1.5 + 300
    assert first * 10 < 200 * LIMIT


@pytest.mark.parametrize(("project", "index"), [("p1", "ix_volumes_project"), (None, "ix_volumes_created")])
@pytest.mark.parametrize("number", [1, 900])
def test_an_index_leads_to_the_page(crowded: Store, project: str | None, index: str, number: int) -> None:
    def plan(tx: Tx) -> str:
        statement = paged(tx, volumes.SELECT, volumes.COLUMNS, _query(number, project), noun="Volume")
        text = str(statement.compile(tx.conn, compile_kwargs={"literal_binds": True}))
        return "\n".join(row[3] for row in tx.conn.exec_driver_sql("EXPLAIN QUERY PLAN " + text))

    told = crowded.read_sync(plan)
    assert f"USING INDEX {index}" in told
    assert "TEMP B-TREE" not in told
    assert "SCAN volumes\n" not in told
    if number > 1:
        assert "created_at<?" in told, "the marker bounds the range"


def test_one_volume_is_found_by_its_key(crowded: Store) -> None:
    steps, found = _steps(crowded, lambda tx: volumes.find(tx, "00050000-0000-4000-8000-000000000000"))
    assert found is not None
    assert steps * 10 < 400


def test_every_page_is_walked_once(crowded: Store) -> None:
    seen, marker = 0, None
    while True:
        query = PageQuery(limit=1000, project_id="p0", marker=marker)
        page = crowded.read_sync(lambda tx, query=query: volumes.page(tx, query))  # type: ignore[misc]
        if not page:
            break
        seen += len(page)
        assert marker is None or page[0].id < marker
        marker = page[-1].id
    assert seen == ROWS // PROJECTS

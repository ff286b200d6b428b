# SPDX-License-Identifier: Apache-2.0
"""What readers remember of volumes is never older than the transaction that asks: every change of a row, and of what it shows of other
tables, is in the next list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import breezeblock.store
from breezeblock.model.paging import PageQuery
from breezeblock.model.volume import Volume
from breezeblock.store import pools, remembered, types, volumes
from breezeblock.store.database import Store
from breezeblock.store.remembered import Head, Remembered
from breezeblock.store.transaction import Tx
from tests.store.rows import volume

ID = "00000000-0000-4000-8000-000000000001"
TYPE = "gold"
EVERYTHING = PageQuery()


def _listed(store: Store) -> dict[str, Volume]:
    return {v.id: v for v in store.read_sync(lambda tx: volumes.page(tx, EVERYTHING))}


def _backend(host: str) -> dict[str, Any]:
    return {
        "id": "b", "name": "local", "host": host, "driver": "file", "availability_zone": "nova", "host_bound": True,
        "capabilities": "{}", "state": "up",
    }  # fmt: skip


@pytest.fixture
def known(store: Store) -> Store:
    """A store whose readers remember one volume, on a backend, of a type."""

    def write(tx: Tx) -> None:
        pools.register(tx, _backend("before"))
        kind = types.create(tx, TYPE)
        volume(tx, id=ID, status="available", backend_id="b", pool="p", volume_type_id=kind.id)

    store.write_sync(write)
    assert _listed(store)[ID].host == "before@local#p"
    assert _listed(store)[ID] is _listed(store)[ID], "it is remembered"
    return store


CHANGES: dict[str, Callable[[Tx], Any]] = {
    "write": lambda tx: volumes.write(tx, ID, name="changed"),
    "begin": lambda tx: volumes.begin(tx, ID, "delete", operation_id="o"),
    "settle": lambda tx: volumes.settle(tx, ID, "error"),
    "settle to the status before": lambda tx: volumes.settle(tx, ID, "back", name="x"),
    "metadata": lambda tx: volumes.set_metadata(tx, ID, "metadata", {"a": "b"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_in_the_next_list(known: Store, change: str) -> None:
    before = _listed(known)[ID]
    known.write_sync(CHANGES[change])
    after = _listed(known)[ID]
    assert after == known.read_sync(lambda tx: volumes.get(tx, ID))
    assert after != before
    assert after.version == before.version + 1


def test_a_change_that_is_taken_back_is_never_remembered(known: Store) -> None:
    def fails(tx: Tx) -> None:
        volumes.write(tx, ID, name="never")
        raise ValueError

    with pytest.raises(ValueError):
        known.write_sync(fails)
    known.write_sync(lambda tx: volumes.write(tx, ID, name="next"))
    assert _listed(known)[ID].name == "next"


def test_the_new_name_of_a_type_is_in_the_next_list(known: Store) -> None:
    known.write_sync(lambda tx: types.write(tx, types.get(tx, TYPE).id, name="renamed"))
    assert _listed(known)[ID].volume_type == "renamed"


def test_the_new_host_of_a_backend_is_in_the_next_list(known: Store) -> None:
    known.write_sync(lambda tx: pools.register(tx, _backend("after")))
    assert _listed(known)[ID].host == "after@local#p"


def test_a_row_that_is_gone_is_not_listed(known: Store) -> None:
    known.write_sync(lambda tx: volumes.remove(tx, ID))
    assert _listed(known) == {}


def test_a_writing_transaction_sees_its_own_changes(known: Store) -> None:
    def write(tx: Tx) -> list[Volume]:
        volumes.write(tx, ID, name="mine")
        return volumes.page(tx, EVERYTHING)

    assert [v.name for v in known.write_sync(write)] == ["mine"]


def test_only_this_room_writes_volumes_and_each_time_raises_the_version() -> None:
    """The rule that readers rely on. A new way to write a volume belongs into volumes.py, beside the others."""
    folder = Path(breezeblock.store.__file__).parent
    writers = {
        path.name
        for path in folder.rglob("*.py")
        if re.search(r"(?<!_)(update|insert)\(volumes\)", path.read_text())
    }
    assert writers == {"volumes.py"}
    text = (folder / "volumes.py").read_text()
    for statement in re.findall(r"update\(volumes\)(?:(?!update\(volumes\)).){0,600}", text, re.DOTALL):
        assert "volumes.c.version + 1" in statement


# -- alone ---------------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    id: str
    version: int
    text: str
    updated_at: str | None = None


class Rows:
    """A table of texts: what is there, and which ids were read."""

    def __init__(self, **there: tuple[int, str]) -> None:
        self.there, self.reads, self.names = there, 0, 1
        self.asked: list[str] = []

    def heads(self) -> list[Head]:
        return [(id, version, None, self.names) for id, (version, _) in self.there.items()]

    def read(self, ids: Sequence[str]) -> Iterable[tuple[Row, int]]:
        self.asked += ids
        for id in ids:
            if id in self.there:
                version, text = self.there[id]
                yield Row(id, version, text), self.names


def _texts(rows: list[Row]) -> list[str]:
    return [row.text for row in rows]


def test_only_what_is_not_known_is_read() -> None:
    memory: Remembered[Row] = Remembered()
    rows = Rows(a=(1, "A"), b=(1, "B"))
    assert _texts(memory.rows(rows.heads(), rows.read)) == ["A", "B"]
    rows.there |= {"b": (2, "B2"), "c": (1, "C")}
    rows.asked.clear()
    assert _texts(memory.rows(rows.heads(), rows.read)) == ["A", "B2", "C"]
    assert rows.asked == ["b", "c"]


def test_a_row_that_went_between_head_and_row_is_left_out() -> None:
    memory: Remembered[Row] = Remembered()
    rows = Rows(a=(1, "A"), b=(1, "B"))
    heads = rows.heads()
    del rows.there["a"]
    assert _texts(memory.rows(heads, rows.read)) == ["B"]


def test_a_row_that_changed_between_head_and_row_is_shown_as_it_is_and_known_by_its_new_version() -> None:
    memory: Remembered[Row] = Remembered()
    rows = Rows(a=(1, "A"))
    heads = rows.heads()
    rows.there["a"] = (2, "A2")
    assert _texts(memory.rows(heads, rows.read)) == ["A2"]
    rows.asked.clear()
    assert _texts(memory.rows(rows.heads(), rows.read)) == ["A2"]
    assert rows.asked == []


def test_an_older_snapshot_gets_its_own_rows() -> None:
    memory: Remembered[Row] = Remembered()
    rows, older = Rows(a=(2, "new")), Rows(a=(1, "old"))
    older.names = 0
    assert _texts(memory.rows(rows.heads(), rows.read)) == ["new"]
    assert _texts(memory.rows(older.heads(), older.read)) == ["old"]
    assert _texts(memory.rows(rows.heads(), rows.read)) == ["new"]


def test_the_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "KEPT", 10)
    memory: Remembered[Row] = Remembered()
    for n in range(100):
        rows = Rows(**{f"id{n}": (1, "text")})
        memory.rows(rows.heads(), rows.read)
    _, young, old = memory._kept
    assert len(young) + len(old) <= 21

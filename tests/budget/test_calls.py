# SPDX-License-Identifier: Apache-2.0
"""How many calls of Python functions a request costs, in this package and in SQLAlchemy: the same on every machine, busy or not, and what
processor time follows. Bounds have a fifth of room; whoever needs more says why beside the number. Builtins are not counted."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from tests.bench import rows
from tests.bench.inside import Inside
from tests.budget.conftest import PROJECT

VOLUME = {"volume": {"size": 1, "name": "counted", "metadata": {"a": "b"}}}
LIST = "/v3/volumes/detail?sort=created_at:asc&limit="

#: Path (or POST): calls of ours, calls of SQLAlchemy. No hot request goes through it: it is asked for the driver's connection.
BUDGET: dict[str, tuple[int, int]] = {
    "/v3/volumes/" + rows.id_of(7): (72, 4),
    LIST + "200": (94, 4),
    "POST": (168, 4),
}


class Calls:
    """Counts in threads that were started after `listen`, between `begin` and `end`."""

    def __init__(self) -> None:
        self.on = False
        self.found: Counter[str] = Counter()

    def __call__(self, frame: FrameType, kind: str, _: Any) -> None:
        if self.on and kind == "call":
            path = frame.f_code.co_filename
            for package in ("breezeblock/", "sqlalchemy/"):
                if package in path and "/tests/" not in path:
                    self.found[package.rstrip("/")] += 1

    def of(self, inside: Inside, method: str, path: str, body: Any = None) -> tuple[int, int]:
        """(ours, SQLAlchemy's) of one request."""
        self.found.clear()
        self.on = True
        sys.setprofile(self)
        try:
            answer = inside.ask(method, path, body)
        finally:
            sys.setprofile(None)
            self.on = False
        assert answer.status < 300, answer
        return self.found["breezeblock"], self.found["sqlalchemy"]


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> Iterator[Calls]:
    counter = Calls()
    before = threading.getprofile()
    threading.setprofile(counter)
    yield counter
    threading.setprofile(before)


@pytest.fixture
def counted(calls: Calls, furnished: Path, tmp_path: Path) -> Iterator[Inside]:
    file = tmp_path / "counted.sqlite"
    file.write_bytes(furnished.read_bytes())
    made = Inside(f"sqlite:///{file}", PROJECT)
    yield made
    made.close()


@pytest.mark.parametrize("what", BUDGET)
def test_a_hot_request_keeps_to_its_calls(counted: Inside, calls: Calls, what: str) -> None:
    method, path, body = ("POST", "/v3/volumes", VOLUME) if what == "POST" else ("GET", what, None)
    for _ in range(30):  # until each of the store's threads has its connection
        counted.ask(method, path, body)
    ours, theirs = calls.of(counted, method, path, body)
    most, most_theirs = BUDGET[what]
    assert ours <= most * 1.2, (ours, most)
    assert theirs <= most_theirs, theirs


def test_a_list_makes_no_call_for_each_row_that_is_remembered(counted: Inside, calls: Calls) -> None:
    for _ in range(30):
        counted.ask("GET", LIST + "200")
    few, many = (calls.of(counted, "GET", f"{LIST}{limit}")[0] for limit in (10, 200))
    assert many - few < 19, (few, many)


def test_a_list_of_rows_that_are_new_makes_a_few_calls_for_each(counted: Inside, calls: Calls) -> None:
    few = calls.of(counted, "GET", LIST + "10")[0]
    many = calls.of(counted, "GET", LIST + "200")[0]
    assert (many - few) / 190 < 5, (few, many)


def test_a_list_makes_no_dictionary_for_each_row(inside: Inside) -> None:
    """Rows, the structs of the answer and their encoding hold no dict, however many there are."""
    inside.ask("GET", LIST + "10")
    gc.collect()
    gc.disable()
    try:
        before = sum(type(one) is dict for one in gc.get_objects())
        answer = inside.ask("GET", LIST + "200")
        after = sum(type(one) is dict for one in gc.get_objects())
    finally:
        gc.enable()
    assert len(msgspec.json.decode(answer.body)["volumes"]) == 200
    assert after - before < 100

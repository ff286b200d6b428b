# SPDX-License-Identifier: Apache-2.0
"""Backends of a process: started once at a time, told as silent while they are, and never in each other's way."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from breezeblock.config.sections import Backend as Settings
from breezeblock.drivers.driver import Capabilities, PoolReport
from breezeblock.model.errors import Unreachable
from breezeblock.process import backends as running
from breezeblock.process import periodic as periodic_module
from breezeblock.process.backends import RunningBackend
from breezeblock.process.periodic import Periodic
from breezeblock.store import history, pools
from breezeblock.store.database import Store
from breezeblock.store.schema import processes

DEADLINE = 10.0


class Folder:
    """A driver that counts its starts, and answers while it is `there`."""

    capabilities = Capabilities(
        storage_protocol="file", thin=True, clone=True, live_snapshot=True, online_extend=False
    )

    def __init__(self) -> None:
        self.starts, self.there = 0, True
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.may_end.set()

    def start(self) -> None:
        self.starts += 1
        self.begun.set()
        assert self.may_end.wait(DEADLINE)

    def pools(self) -> Sequence[PoolReport]:
        if not self.there:
            raise Unreachable("the folder is not mounted")
        return [
            PoolReport(name="pool", total=1 << 30, free=1 << 30, allocated=0, provisioned=0, sampled_at=0.0, capabilities=self.capabilities)
        ]  # fmt: skip


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(migrated_file, tmp_path / "store.sqlite")
    store = Store(f"sqlite:///{tmp_path / 'store.sqlite'}", threads=1)
    yield store
    store.close()


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from breezeblock.store.migrate import upgrade

    path = tmp_path_factory.mktemp("backends") / "template.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


def backend(name: str, number: int) -> tuple[RunningBackend, Folder]:
    folder: Any = Folder()
    settings = Settings(name=name)
    return RunningBackend(f"{number}" * 36, settings, "host1", folder, {}), folder


def periodic(store: Store, *backends: RunningBackend, look: Callable[[], None] = lambda: None) -> Periodic:
    return Periodic(
        store, backends, process_id="p" * 36, host="host1", roles=["volume"], zone="nova", queues=list,
        look_at_attachments=look, orphans=None, started_at="2026-11-21T07:43:43.000000",
    )  # fmt: skip


def states(store: Store) -> dict[str, tuple[str, str]]:
    return {row.name: (row.state, row.reason) for row in store.read_sync(pools.all_backends)}


def test_a_slow_start_is_not_begun_again_beside_itself(store: Store) -> None:
    one, folder = backend("one", 1)
    folder.may_end.clear()
    first = threading.Thread(target=running.start, args=(one, store))
    first.start()
    assert folder.begun.wait(DEADLINE)
    assert running.start(one, store) is False
    folder.may_end.set()
    first.join(DEADLINE)
    assert running.start(one, store) is True
    assert folder.starts == 1


def test_one_that_does_not_answer_keeps_no_other_from_reporting_and_gets_nothing_new(store: Store) -> None:
    (one, gone), (two, _) = backend("one", 1), backend("two", 2)
    for each in (one, two):
        assert running.start(each, store)
    gone.there = False
    sampled = {pool.backend.name: pool.updated_at for pool in store.read_sync(pools.page)}
    round_ = periodic(store, one, two)
    round_._report()
    again = {pool.backend.name: pool.updated_at for pool in store.read_sync(pools.page)}
    assert again["one"] == sampled["one"]
    assert again["two"] > sampled["two"]
    assert states(store)["one"][0] == "down"
    assert "not mounted" in states(store)["one"][1]
    assert (one.ready, "not mounted" in one.reason) == (True, True)
    gone.there = True
    round_._report()
    assert states(store) == {"one": ("up", ""), "two": ("up", "")}
    assert one.reason == ""


def test_a_process_without_the_scheduler_tidies_its_own_backends(store: Store) -> None:
    one, _ = backend("one", 1)
    assert running.start(one, store)
    periodic(store, one)._tidy()
    found = store.read_sync(lambda tx: history.page(tx, project_id=None))
    assert [(op.kind, op.resource_id) for op in found] == [("backend.tidy", one.id)]


def test_a_backend_that_answers_slowly_does_not_make_the_process_look_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic_module, "BEAT_SECONDS", 0.02)
    one, _ = backend("one", 1)
    assert running.start(one, store)
    looking, may_end = threading.Event(), threading.Event()

    def look() -> None:
        looking.set()
        assert may_end.wait(DEADLINE)

    round_ = periodic(store, one, look=look)
    round_.start()
    try:
        assert looking.wait(DEADLINE)
        first = beaten(store)
        deadline = time.monotonic() + DEADLINE
        while beaten(store) <= first:
            assert time.monotonic() < deadline, "no beat while it looks"
            time.sleep(0.01)
    finally:
        may_end.set()
        round_.stop()


def beaten(store: Store) -> int:
    """When the process last said that it is alive."""
    row = store.read_sync(lambda tx: tx.row(select(processes.c.seen_us)))
    return 0 if row is None else int(row[0])

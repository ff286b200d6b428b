# SPDX-License-Identifier: Apache-2.0
"""Records are whole or absent, and their lock dies with its holder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from breezeblock.host.records import discard_lock, load, locked, save
from breezeblock.model import errors


class Fact(msgspec.Struct, frozen=True):
    number: int


def test_what_is_saved_is_loaded_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "fact.json"
    assert load(path, Fact) is None
    save(path, Fact(1))
    save(path, Fact(2))
    assert load(path, Fact) == Fact(2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["fact.json"]


def test_a_record_that_cannot_be_read_is_reported_and_not_taken_for_absent(tmp_path: Path) -> None:
    (tmp_path / "fact.json").write_text('{"number": ')
    with pytest.raises(errors.Failed, match="cannot be read"):
        load(tmp_path / "fact.json", Fact)


def test_a_lock_admits_one_thread_at_a_time(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with locked(tmp_path / "a.lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                discard_lock(tmp_path / "a.lock")  # also when its file goes while others wait

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert max(most) == 1
    assert len(most) == 80


def test_a_lock_that_is_held_is_waited_for_no_longer_than_allowed(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "a.lock"),
        pytest.raises(errors.TimedOut),
        locked(tmp_path / "a.lock", timeout=0.05),
    ):
        pass
    with locked(tmp_path / "a.lock", timeout=0.05):
        assert (tmp_path / "a.lock").exists()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from breezeblock.host.records import locked\n"
        "with locked(Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.lock")], timeout=30)
    assert killed.returncode == -9
    with locked(tmp_path / "a.lock", timeout=0.5):
        assert (tmp_path / "a.lock").exists()

# SPDX-License-Identifier: Apache-2.0
"""Exporter processes: a session of their own, recognised for certain, found by their token, and really gone when that is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from breezeblock.host import processes
from breezeblock.model import errors

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def token() -> Iterator[str]:
    made = processes.new_token()
    yield made
    processes.sweep(made)


def sleeper(
    token: str, folder: Path, code: str = "import time; print('up', flush=True); time.sleep(60)"
) -> processes.ProcessRecord:
    started = processes.spawn([sys.executable, "-c", code, token], token=token, folder=folder, log="out.log")
    for _ in processes.ticks(10.0):
        if "up" in (folder / "out.log").read_text():
            return started
    raise AssertionError("it did not come up")


def test_a_spawned_process_is_nobodys_child_and_leads_its_own_session(tmp_path: Path, token: str) -> None:
    record = sleeper(token, tmp_path)
    assert processes.alive(record)
    assert os.getsid(record.pid) == os.getpgid(record.pid)
    assert os.getsid(record.pid) != os.getsid(0)
    assert int(Path(f"/proc/{record.pid}/stat").read_text().rpartition(")")[2].split()[1]) != os.getpid()
    assert Path(f"/proc/{record.pid}/cwd").readlink() == Path("/")
    assert Path(f"/proc/{record.pid}/fd/0").readlink() == Path("/dev/null")
    assert list(tmp_path.glob("*.pid")) == []


def test_it_inherits_no_descriptor_and_no_secret(
    tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "hunter2")
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        record = sleeper(token, tmp_path)
    assert "hunter2" not in Path(f"/proc/{record.pid}/environ").read_text()
    assert "LC_ALL=C" in Path(f"/proc/{record.pid}/environ").read_text()
    held = {str(fd.readlink()) for fd in Path(f"/proc/{record.pid}/fd").iterdir()}
    assert str(tmp_path / "ours") not in held


def test_a_record_of_another_start_or_boot_is_not_this_process(
    tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = sleeper(token, tmp_path)
    reused = msgspec.structs.replace(record, start=record.start + 1)
    other_boot = msgspec.structs.replace(record, boot="another")
    for wrong in (reused, other_boot):
        assert not processes.alive(wrong)
        processes.kill(wrong)
        processes.terminate(wrong)
        assert processes.wait(wrong, 0.1)
    assert processes.alive(record)
    monkeypatch.setattr(processes, "boot_id", lambda: "the next boot")
    assert not processes.alive(record)


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    start = processes.start_time(child.pid)
    assert start is not None
    record = processes.ProcessRecord(pid=child.pid, start=start, boot=processes.boot_id(), token="none")
    child.kill()
    assert processes.wait(record, 5.0)
    assert not processes.alive(record)
    child.wait()
    assert processes.start_time(child.pid) is None


def test_the_token_finds_it_again_and_nobody_else(tmp_path: Path, token: str) -> None:
    record = sleeper(token, tmp_path)
    assert list(processes.find(token)) == [record]
    assert list(processes.find(processes.new_token())) == []
    assert processes.sweep(token) == 1
    assert not processes.alive(record)
    assert processes.sweep(token) == 0


def test_a_process_without_its_token_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        processes.spawn(["sleep", "60"], token=processes.new_token(), folder=tmp_path, log="out.log")


def test_a_missing_program_says_what_to_install(tmp_path: Path, token: str) -> None:
    with pytest.raises(errors.ProgramMissing) as missing:
        processes.spawn(["no-such-program", token], token=token, folder=tmp_path, log="out.log")
    assert "no-such-program" in str(missing.value)


def test_one_that_ends_at_once_is_simply_not_alive(tmp_path: Path, token: str) -> None:
    record = processes.spawn(["false", token], token=token, folder=tmp_path, log="out.log")
    assert processes.wait(record, 5.0)
    assert not processes.alive(record)


def test_terminate_is_polite_first_and_final_in_the_end(tmp_path: Path, token: str) -> None:
    polite = sleeper(token, tmp_path)
    processes.terminate(polite, polite=5.0)
    assert not processes.alive(polite)
    (tmp_path / "out.log").unlink()
    deaf = sleeper(token, tmp_path, DEAF)
    began = time.monotonic()
    processes.terminate(deaf, polite=0.2)
    assert not processes.alive(deaf)
    assert 0.2 <= time.monotonic() - began < 5.0


def test_a_stopped_process_is_killed_all_the_same(tmp_path: Path, token: str) -> None:
    record = sleeper(token, tmp_path)
    os.kill(record.pid, signal.SIGSTOP)
    assert processes.alive(record)
    processes.terminate(record, polite=0.1)
    assert not processes.alive(record)

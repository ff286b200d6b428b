# SPDX-License-Identifier: Apache-2.0
"""Programs end with the call that ran them, and movers with their operation, whatever happens to the owner."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breezeblock.host import executor, mover
from breezeblock.host.executor import Mover, end_recorded, run
from breezeblock.model.call import Context
from breezeblock.model.errors import Cancelled, ProgramFailed, ProgramMissing, TimedOut


def gone(pid: int, within: float = 5.0) -> bool:
    """A process is gone when /proc has no live entry of it."""
    limit = time.monotonic() + within
    while True:
        try:
            if Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        if time.monotonic() >= limit:
            return False
        time.sleep(0.01)


def wait_for(path: Path, within: float = 10.0) -> str:
    limit = time.monotonic() + within
    while time.monotonic() < limit:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear within {within} s")


def test_output_and_input_are_passed_through() -> None:
    out = run(["cat"], input=b"bytes \xff", timeout=5)
    assert (out.code, out.stdout) == (0, b"bytes \xff")


def test_messages_are_in_the_c_locale() -> None:
    assert "LC_ALL=C\n" in run(["env"], timeout=5, env={"LC_ALL": "de_DE"}).text


def test_a_failure_carries_the_exit_code_and_the_last_lines() -> None:
    with pytest.raises(ProgramFailed, match=r"exit code 3.*second") as caught:
        run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"], timeout=5)
    assert caught.value.facts["exit_code"] == 3


def test_an_exit_code_that_is_expected_is_no_failure() -> None:
    assert run(["sh", "-c", "exit 3"], timeout=5, ok=(0, 3)).code == 3


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *a, **k: None)
    with pytest.raises(ProgramMissing) as caught:
        run(["qemu-img", "--version"], timeout=5)
    assert "qemu-utils" in caught.value.remedy


def test_a_program_over_its_time_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    with pytest.raises(TimedOut, match="sh did not end in time"):
        run(["sh", "-c", f"sleep 60 & echo $! > {pids}; wait"], timeout=0.5)
    assert gone(int(pids.read_text()))


def test_a_mover_passes_output_and_exit_code_on_and_leaves_no_record(tmp_path: Path) -> None:
    record = tmp_path / "m"
    assert run(
        ["sh", "-c", "cat m; echo there"], timeout=5, mover=Mover(Context(), record), cwd=tmp_path
    ).text.endswith("there\n")
    with pytest.raises(ProgramFailed, match="exit code 7"):
        run(["sh", "-c", "exit 7"], timeout=5, mover=Mover(Context(), record))
    assert list(tmp_path.iterdir()) == []


def test_a_mover_is_killed_when_its_operation_is_cancelled(tmp_path: Path) -> None:
    pids, looks = tmp_path / "pid", 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if pids.exists() and looks > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(
            ["sh", "-c", f"echo $$ > {pids}; sleep 60"],
            timeout=30,
            mover=Mover(Context(check=check), tmp_path / "m"),
        )
    assert gone(int(pids.read_text()))
    assert not (tmp_path / "m").exists()


def test_a_mover_is_killed_at_the_deadline_of_its_context(tmp_path: Path) -> None:
    ctx = Context(deadline=time.monotonic() + 0.4)
    started = time.monotonic()
    with pytest.raises(TimedOut):
        run(["sleep", "60"], timeout=60, mover=Mover(ctx, tmp_path / "m"))
    assert time.monotonic() - started < 5


OWNER = """
import sys
from pathlib import Path
from breezeblock.host.executor import Mover, run
from breezeblock.model.call import Context
run(["sh", "-c", "echo $$ > pid; exec sleep 60"], timeout=60, cwd=Path(sys.argv[1]), mover=Mover(Context(), Path(sys.argv[1], "m")))
"""


@pytest.fixture
def owner(tmp_path: Path):
    """Another process that owns a running mover; yields (owner, pid of the mover)."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)])
    yield process, int(wait_for(tmp_path / "pid"))
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def test_a_mover_dies_with_its_owner(owner) -> None:
    process, mover = owner
    process.kill()
    assert gone(mover)


def test_a_take_over_kills_the_mover_of_a_stopped_owner(owner, tmp_path: Path) -> None:
    process, mover = owner
    process.send_signal(signal.SIGSTOP)
    assert end_recorded(tmp_path / "m") is True
    assert gone(mover, within=0)
    assert not (tmp_path / "m").exists()


def test_a_mover_of_a_silent_owner_is_killed_after_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "GRACE", 0.3)
    monkeypatch.setattr(executor, "POLL", 60.0)  # an owner that hangs feeds nothing
    with pytest.raises(ProgramFailed, match="exit code -9"):
        run(["sleep", "30"], timeout=20, mover=Mover(Context(), tmp_path / "m"))


def test_a_record_of_another_process_with_the_same_pid_kills_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "m").write_text(f"{bystander.pid} 1 {mover.boot_id()}\n")
        assert end_recorded(tmp_path / "m") is False
        assert bystander.poll() is None
        assert end_recorded(tmp_path / "m") is False
    finally:
        os.killpg(bystander.pid, signal.SIGKILL)
        bystander.wait()

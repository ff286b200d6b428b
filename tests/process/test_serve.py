# SPDX-License-Identifier: Apache-2.0
"""The service as a person starts it: ready soon, small, private, one per folder, and gone without a trace when told to go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breezeblock.model.units import MiB
from tests.process.served import Served, served

#: the budgets are 1.5 s (tests/bench measures it) and 120 MiB. Here the processor's time is judged, which other work slows little.
START_CPU_SECONDS, RESIDENT_BYTES = 4.0, 120 * MiB


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def refusal(*arguments: str, data: Path) -> str:
    """What a start that must not succeed says on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "breezeblock.cli", "serve", "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


def test_it_is_ready_soon_and_stays_small(data: Path) -> None:
    with served(data) as service:
        assert service.cpu_seconds() < START_CPU_SECONDS
        assert service.resident() < RESIDENT_BYTES


@pytest.mark.slow
def test_the_token_is_for_its_owner_only_and_stays_over_a_restart(data: Path) -> None:
    with served(data) as first:
        before = first.credentials
        assert (data / "admin.json").stat().st_mode & 0o777 == 0o600
        assert data.stat().st_mode & 0o077 == 0
    with served(data) as second:
        assert second.credentials["token"] == before["token"]
        assert second.credentials["project_id"] == before["project_id"]


def test_nobody_is_let_in_without_the_token(data: Path) -> None:
    with served(data) as service:
        assert service.ask("GET", "/v3/volumes", token="")[0] == 401
        assert service.ask("GET", "/v3/volumes", token="x" * 43)[0] == 401


@pytest.mark.slow
def test_a_second_service_on_the_folder_is_refused_with_the_first_ones_pid(data: Path) -> None:
    with served(data) as service:
        said = refusal("--listen", "127.0.0.1:0", data=data)
        assert f"pid {service.process.pid}" in said
        assert service.ask("GET", "/v3/volumes")[0] == 200


@pytest.mark.slow
def test_a_port_in_use_is_said(data: Path, tmp_path: Path) -> None:
    with served(data) as service:
        address = service.credentials["endpoint"].removeprefix("http://")
        assert "cannot listen on" in refusal("--listen", address, data=tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_a_data_folder_that_others_may_write_to_is_refused(data: Path, mode: int) -> None:
    data.mkdir()
    data.chmod(mode)
    said = refusal("--listen", "127.0.0.1:0", data=data)
    assert f"mode {mode:04o}" in said
    assert f"chmod 700 {data}" in said
    assert list(data.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
def test_a_data_folder_of_somebody_else_is_refused_unless_he_asked_for_it_with_sudo(data: Path) -> None:
    data.mkdir()
    os.chown(data, 12345, 12345)
    assert "owner uid 12345" in refusal("--listen", "127.0.0.1:0", data=data)
    assert list(data.iterdir()) == []
    with served(data, environ={"SUDO_UID": "12345"}) as service:
        assert service.ask("GET", "/v3/volumes")[0] == 200


@pytest.mark.slow
def test_nothing_in_a_readable_data_folder_is_for_others(data: Path) -> None:
    data.mkdir(mode=0o755)
    with served(data) as service:
        made = service.ask("POST", "/v3/volumes", {"volume": {"size": 1}})[1]["volume"]
        service.until(f"/v3/volumes/{made['id']}", "volume", "available")
        open_to_others = [
            path for path in data.rglob("*") if path.lstat().st_mode & 0o077 and not path.is_symlink()
        ]
    assert open_to_others == []


@pytest.mark.slow
def test_an_address_that_others_reach_is_refused_with_a_reason(data: Path) -> None:
    said = refusal("--listen", "0.0.0.0:0", data=data)
    assert "token would travel in the clear" in said
    assert not (data / "breezeblock.sqlite").exists()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_ends_in_order(data: Path, sent: signal.Signals) -> None:
    service = Served(data)
    began = time.monotonic()
    assert service.end(sent) == 0
    assert time.monotonic() - began < 10
    assert "stopping" in service.log.read_text()


@pytest.mark.slow
def test_a_volume_lives_through_kill_and_restart(data: Path) -> None:
    service = Served(data)
    status, made = service.ask("POST", "/v3/volumes", {"volume": {"size": 1, "name": "kept"}})
    assert status == 202
    path = f"/v3/volumes/{made['volume']['id']}"
    service.end(signal.SIGKILL)
    with served(data) as again:
        found = again.until(path, "volume", "available")
        assert found["name"] == "kept"
        assert again.ask("DELETE", path)[0] == 202


@pytest.mark.slow
def test_a_backend_that_cannot_start_is_told_and_leaves_the_api_working(data: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    config = tmp_path / "breezeblock.toml"
    config.write_text(
        f'[[backends]]\nname = "bad"\nfolder = "{blocked}"\n[[backends]]\nname = "good"\nfolder = "{tmp_path / "good"}"\n'
    )
    with served(data, "--config", str(config)) as service:
        status, found = service.ask("GET", "/v3/breezeblock/status")
        states = {backend["name"]: backend["state"] for backend in found["status"]["backends"]}
        assert status == 200
        assert states == {"bad": "down", "good": "up"}
        assert any("bad is down" in warning for warning in found["status"]["warnings"])
        made = service.ask("POST", "/v3/volumes", {"volume": {"size": 1}})[1]["volume"]
        placed = service.until(f"/v3/volumes/{made['id']}", "volume", "available")
        assert "@good#" in placed["os-vol-host-attr:host"]


@pytest.mark.slow
def test_a_disk_that_is_not_mounted_is_never_taken_for_a_new_one(data: Path, tmp_path: Path) -> None:
    disk, away = tmp_path / "disk", tmp_path / "away"
    disk.mkdir()
    config = tmp_path / "breezeblock.toml"
    config.write_text(f'[[backends]]\nname = "disk"\nfolder = "{disk / "volumes"}"\n')
    with served(data, "--config", str(config)) as service:
        made = service.ask("POST", "/v3/volumes", {"volume": {"size": 1}})[1]["volume"]
        service.until(f"/v3/volumes/{made['id']}", "volume", "available")
    disk.rename(away)
    disk.mkdir()  # the mount point, empty
    with served(data, "--config", str(config)) as service:
        warnings = service.ask("GET", "/v3/breezeblock/status")[1]["status"]["warnings"]
        assert any(f"{disk / 'volumes'} is not there" in warning for warning in warnings)
        lost = service.ask("POST", "/v3/volumes", {"volume": {"size": 1}})[1]["volume"]
        service.until(f"/v3/volumes/{lost['id']}", "volume", "error")
        assert list(disk.iterdir()) == []
        disk.rmdir()
        away.rename(disk)
        assert service.ask("DELETE", f"/v3/volumes/{made['id']}")[0] == 202
        deadline = time.monotonic() + 30
        while service.ask("GET", f"/v3/volumes/{made['id']}")[0] != 404:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert list((disk / "volumes" / "layers").iterdir()) == []


@pytest.mark.slow
def test_work_that_was_accepted_before_a_stop_is_finished_after_the_next_start(data: Path) -> None:
    service = Served(data)
    ids = [service.ask("POST", "/v3/volumes", {"volume": {"size": 1}})[1]["volume"]["id"] for _ in range(8)]
    assert service.end() == 0
    with served(data) as again:
        for ident in ids:
            again.until(f"/v3/volumes/{ident}", "volume", "available")


def test_a_ready_file_that_cannot_be_written_is_refused_before_anything_is_made(
    data: Path, tmp_path: Path
) -> None:
    said = refusal("--listen", "127.0.0.1:0", "--ready-file", str(tmp_path / "none" / "ready"), data=data)
    assert "ready file" in said
    assert not data.exists()


def test_a_log_level_that_is_none_is_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREEZEBLOCK_LOG", "loud")
    assert "BREEZEBLOCK_LOG is no log level" in refusal("--listen", "127.0.0.1:0", data=data)
    assert not data.exists()

# SPDX-License-Identifier: Apache-2.0
"""Where the token comes from, and which files are not believed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from breezeblock.cli import credentials
from breezeblock.cli.exits import UNREACHABLE, Ended
from tests.cli.conftest import Command

WRITTEN = {
    "endpoint": "http://127.0.0.1:8776",
    "token": "the-token",
    "project_id": "0" * 32,
    "user_id": "1" * 32,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "admin.json"
    path.write_text(json.dumps(WRITTEN))
    path.chmod(0o600)
    return tmp_path


def test_the_local_services_file_is_found_without_being_named(tmp_path: Path) -> None:
    folder = tmp_path / ".local" / "share" / "breezeblock"
    folder.mkdir(parents=True)
    (folder / "admin.json").write_text(json.dumps(WRITTEN))
    (folder / "admin.json").chmod(0o600)
    found = credentials.find({"HOME": str(tmp_path)})
    assert found == credentials.Credentials(
        "http://127.0.0.1:8776",
        "the-token",
        "0" * 32,
        str(folder / "admin.json"),
        frozenset({0, os.geteuid()}),
    )


def test_options_win_over_the_environment_and_both_over_the_file(data: Path) -> None:
    environ = {"BREEZEBLOCK_DATA": str(data), "BREEZEBLOCK_TOKEN": "from-environment"}
    assert credentials.find(environ).token == "from-environment"
    assert credentials.find(environ, token="from-option").token == "from-option"
    assert credentials.find({"BREEZEBLOCK_DATA": str(data)}).token == "the-token"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o601])
def test_a_file_that_others_may_open_is_refused_with_the_remedy(data: Path, mode: int) -> None:
    (data / "admin.json").chmod(mode)
    with pytest.raises(Ended, match=r"needed mode 0600; there was mode 0\d+\. Run: chmod 600"):
        credentials.find({"BREEZEBLOCK_DATA": str(data)})


def test_a_file_of_somebody_else_is_refused(data: Path) -> None:
    if os.getuid() == 0:
        os.chown(data / "admin.json", 4712, 4712)
    with pytest.raises(Ended, match="belongs to somebody else"):
        credentials.find({"BREEZEBLOCK_DATA": str(data)}, uid=os.getuid() + 4711)


@pytest.mark.requires("root")
def test_under_sudo_the_invoking_users_service_is_found(data: Path) -> None:
    os.chown(data / "admin.json", 4711, 4711)
    assert credentials.find({"BREEZEBLOCK_DATA": str(data), "SUDO_UID": "4711"}, uid=0).token == "the-token"
    with pytest.raises(Ended, match="belongs to somebody else"):
        credentials.find({"BREEZEBLOCK_DATA": str(data), "SUDO_UID": "4712"}, uid=0)


def test_only_root_may_name_an_invoking_user() -> None:
    assert credentials.trusted_owners({"SUDO_UID": "1000"}, uid=1001) == {1001, 0}
    assert credentials.trusted_owners({"SUDO_UID": "1000"}, uid=0) == {1000, 0}


def test_under_sudo_roots_own_folder_is_looked_at_first() -> None:
    folders = credentials.data_folders({"HOME": "/root", "SUDO_UID": "0"}, uid=0)
    assert folders[0] == Path("/root/.local/share/breezeblock")
    assert len(folders) == 2


def test_the_files_token_is_never_sent_to_another_endpoint(data: Path) -> None:
    with pytest.raises(Ended, match="no credentials for http://example") as why:
        credentials.find({"BREEZEBLOCK_DATA": str(data)}, endpoint="http://example.org:8776")
    assert why.value.status == UNREACHABLE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": "x"}'])
def test_a_damaged_file_says_how_it_is_mended(data: Path, text: str) -> None:
    (data / "admin.json").write_text(text)
    with pytest.raises(Ended, match="Restart the service"):
        credentials.find({"BREEZEBLOCK_DATA": str(data)})


def test_without_a_service_the_command_says_how_to_start_one(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREEZEBLOCK_DATA", str(tmp_path))
    ran = command("volume", "list")
    assert ran.status == UNREACHABLE
    assert "Start one with 'breezeblock serve'" in ran.err
    assert ran.out == ""


def test_a_dead_service_is_told_from_a_refusal(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {**WRITTEN, "endpoint": "http://127.0.0.1:1"}
    (data / "admin.json").write_text(json.dumps(dead))
    monkeypatch.setenv("BREEZEBLOCK_DATA", str(data))
    ran = command("status")
    assert ran.status == UNREACHABLE
    assert "Connection refused" in ran.err
    assert "Start it with 'breezeblock serve'" in ran.err


def test_a_file_of_another_endpoint_is_told_from_none(data: Path) -> None:
    with pytest.raises(Ended) as refused:
        credentials.find({"BREEZEBLOCK_DATA": str(data)}, endpoint="http://127.0.0.1:2")
    assert refused.value.had == f"the token of http://127.0.0.1:8776 at {data / 'admin.json'}"
    assert "the-token" not in str(refused.value)

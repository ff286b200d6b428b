# SPDX-License-Identifier: Apache-2.0
"""The storage folder knows whose it is, and says what to mend when it cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from breezeblock.drivers.driver import Spec
from breezeblock.drivers.file import FileDriver
from breezeblock.model.call import Context
from breezeblock.model.errors import Error, Failed, Unreachable
from breezeblock.model.units import MiB


def start(root: Path, **options: object) -> FileDriver:
    driver = FileDriver(root, **options)  # type: ignore[arg-type]
    driver.start()
    return driver


def test_a_new_folder_is_made_with_its_parents_and_is_private(tmp_path: Path) -> None:
    start(tmp_path / "a" / "b")
    marker = json.loads((tmp_path / "a" / "b" / "breezeblock.json").read_text())
    assert marker["format"] == 1
    assert {
        (tmp_path / "a" / "b" / part).stat().st_mode & 0o777 for part in ("layers", "volumes", "work")
    } == {0o700}


def test_a_folder_keeps_its_backend(tmp_path: Path) -> None:
    start(tmp_path / "p", backend_id="one")
    start(tmp_path / "p", backend_id="one")
    with pytest.raises(Failed, match=r"another backend.*needed backend two; there was backend one"):
        start(tmp_path / "p", backend_id="two")


def test_a_folder_with_other_peoples_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(Failed, match=r"not empty.*holiday\.jpg"):
        start(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_folder_that_lost_its_marker_is_refused(tmp_path: Path) -> None:
    driver = start(tmp_path)
    driver.create(Spec(id="v", size=MiB, pool="files"), None, Context())
    (tmp_path / "breezeblock.json").unlink()
    with pytest.raises(Failed, match="carries no marker"):
        start(tmp_path)
    with pytest.raises(Unreachable):
        driver.list(None, 10)


def test_a_marker_of_another_version_or_none_at_all_is_refused(tmp_path: Path) -> None:
    start(tmp_path)
    marker = tmp_path / "breezeblock.json"
    whole = json.loads(marker.read_text())
    for text in (json.dumps(whole | {"format": 2}), json.dumps(whole | {"new": 1}), "{"):
        marker.write_text(text)
        with pytest.raises(Failed) as refusal:
            start(tmp_path)
        assert refusal.value.remedy


def test_a_folder_made_for_clones_is_refused_where_nothing_can_be_cloned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path)
    marker = tmp_path / "breezeblock.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"clones": True}))
    monkeypatch.setattr("breezeblock.host.reflink.works", lambda folder: False)
    with pytest.raises(Failed, match="clones files"):
        start(tmp_path)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from breezeblock.drivers.file import FileDriver
from breezeblock.model.errors import Failed
os.setgid(65534)
os.setuid(65534)
try:
    FileDriver(Path(sys.argv[1])).start()
except Failed as refusal:
    print(refusal, "|", refusal.remedy)
"""


@pytest.mark.requires("root")
def test_a_folder_that_may_not_be_written_to_is_refused_with_a_remedy(tmp_path: Path) -> None:
    root = tmp_path / "pool"
    start(root)
    said = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(root)], capture_output=True, text=True, timeout=30
    ).stdout
    assert "cannot be used: Permission denied" in said
    assert "| Create" in said


def test_errors_before_start_do_not_guess(tmp_path: Path) -> None:
    driver = FileDriver(tmp_path / "pool")
    assert driver.find("volume-v").found.value == "unknown"
    with pytest.raises((Error, AssertionError)):
        driver.list(None, 1)

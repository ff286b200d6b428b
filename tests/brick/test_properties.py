# SPDX-License-Identifier: Apache-2.0
"""What a host says about itself has the keys that clients of the API know."""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breezeblock.brick import properties
from breezeblock.brick.factory import connectors


def told(state: Path, **more: Any) -> Mapping[str, Any]:
    return properties.connector_properties(connectors(state), state, my_ip="192.0.2.7", **more)


def test_the_known_keys_are_there(tmp_path: Path) -> None:
    found = told(tmp_path)
    assert found["platform"] == platform.machine()
    assert found["os_type"] == sys.platform
    assert (found["ip"], found["host"]) == ("192.0.2.7", socket.gethostname())
    assert (found["multipath"], found["enforce_multipath"], found["do_local_attach"]) == (False, False, False)
    assert told(tmp_path, host="named")["host"] == "named"
    msgspec.json.encode(found)


def test_multipath_is_lowered_unless_it_is_enforced(tmp_path: Path) -> None:
    assert told(tmp_path, multipath=True)["multipath"] is False
    assert told(tmp_path, multipath=True, enforce_multipath=True)["multipath"] is True


def test_our_own_facts_are_apart(tmp_path: Path) -> None:
    own = told(tmp_path)["breezeblock"]
    assert own["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert {"machine_id", "root", "local", "nbd"} <= set(own)


def test_the_initiator_is_told_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "initiatorname.iscsi"
    monkeypatch.setattr(properties, "_INITIATOR", file)
    assert "initiator" not in told(tmp_path)
    file.write_text("# a comment\nInitiatorName=iqn.2004-10.example:host\n")
    assert told(tmp_path)["initiator"] == "iqn.2004-10.example:host"


def test_a_machine_without_an_id_gets_one_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(properties, "_MACHINE_IDS", (tmp_path / "absent",))
    first = properties.machine_id(tmp_path / "state")
    assert len(first) == 32
    assert properties.machine_id(tmp_path / "state") == first
    assert properties.machine_id(tmp_path / "elsewhere") != first
    (tmp_path / "absent").write_text("of the system\n")
    assert properties.machine_id(tmp_path / "state") == "of the system"

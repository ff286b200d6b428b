# SPDX-License-Identifier: Apache-2.0
"""`breezeblock brick` as functions: every shape in which connection info is handed around, and a volume taken through them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from breezeblock.brick import command
from breezeblock.brick.factory import connector_for, connectors
from breezeblock.model import errors
from breezeblock.model.observation import Found
from tests.lab.data_path import HERE, MIB, Ground, as_given

NESTED = {"driver_volume_type": "local", "data": {"path": "/x", "volume_id": "v1"}}
FLAT = {"driver_volume_type": "local", "path": "/x", "volume_id": "v1"}


@pytest.mark.parametrize(
    "given",
    [
        NESTED,
        FLAT,
        {"connection_info": NESTED},
        {"connection_info": FLAT},
        {"attachment": {"id": "a", "connection_info": FLAT}},
    ],
)
def test_connection_info_is_understood_in_every_shape_the_service_gives(
    tmp_path: Path, given: object
) -> None:
    (tmp_path / "info.json").write_text(json.dumps(given))
    assert command.read_info(str(tmp_path / "info.json")) == NESTED


def test_connection_info_comes_from_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(NESTED).encode())))
    assert command.read_info("-") == NESTED


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}", '{"connection_info": 7}'])
def test_what_is_no_connection_info_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "info.json").write_text(text)
    with pytest.raises(errors.BadRequest):
        command.read_info(str(tmp_path / "info.json"))


def test_a_protocol_without_a_connector_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(errors.Unsupported, match="local or nbd"):
        command.connect({"driver_volume_type": "iscsi", "data": {}}, state=tmp_path)
    assert "local" in connector_for(NESTED, connectors(tmp_path)).protocols


@pytest.mark.lab
@pytest.mark.requires("qemu-storage-daemon", "qemu-img", "nbdfuse", "nbdinfo", "root", "loop", "fuse")
@pytest.mark.parametrize("kind", ["local", "nbd"])
def test_a_volume_is_connected_observed_extended_and_disconnected(ground: Ground, kind: str) -> None:
    target = ground.local() if kind == "local" else ground.nbd()
    export = ground.exported(target, ground.image("a", "raw"))
    info: dict[str, Any] = as_given(target.admit(export, HERE, ground.ctx))
    device = command.connect(info, state=ground.state)
    assert device.size == 64 * MIB
    seen = command.observe(info, state=ground.state)
    assert (seen.found, seen.value) == (Found.DONE, device)
    assert command.extend(info, state=ground.state) == 64 * MIB
    with pytest.raises(errors.DeviceWrong):
        command.connect(info, state=ground.state, volume_id="other")
    command.disconnect(info, state=ground.state, device=device)
    assert command.observe(info, state=ground.state).found is Found.NOT_DONE
    assert command.properties(state=ground.state, my_ip="127.0.0.1")["breezeblock"][kind] in (
        "loop",
        "nbdfuse+loop",
    )
    target.unexport(export, ground.ctx)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("local", []),
        ("local", {"path": 7}),
        ("local", {"path": "/x", "size": "long"}),
        ("local", {"path": "/x", "size": True}),
        ("nbd", {"uri": "nbd://[::/x", "export": "x"}),
        ("nbd", {"uri": "nbd://127.0.0.1:99999/x", "export": "x"}),
        ("nbd", {"uri": "nbd+unix:///x?socket=/s", "export": 5}),
        ("nbd", {"uri": "nbd+unix:///x?socket=/s", "export": "a\0b"}),
    ],
)
def test_damaged_connection_info_is_refused_before_anything_is_touched(
    tmp_path: Path, kind: str, data: object
) -> None:
    (tmp_path / "info.json").write_text(json.dumps({"driver_volume_type": kind, "data": data}))
    with pytest.raises(errors.BadRequest, match="is damaged"):
        command.read_info(str(tmp_path / "info.json"))


def test_connection_info_that_is_nested_without_end_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "info.json").write_text("[" * 200_000)
    with pytest.raises(errors.Malformed, match="is no JSON"):
        command.read_info(str(tmp_path / "info.json"))

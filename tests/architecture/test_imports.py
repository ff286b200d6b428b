# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, checked against the table in pyproject.toml, and that the command line stays light."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from tests.architecture.rooms import RoomsContract, read_table, room_of

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "src" / "breezeblock"

#: What `breezeblock --help` must not load: the service, and whatever takes long to import.
HEAVY = (
    "sqlalchemy",
    "alembic",
    "starlette",
    "uvicorn",
    "uvloop",
    "breezeblock.process",
    "breezeblock.store",
)


def table() -> dict[str, frozenset[str]]:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    return read_table(settings["tool"]["importlinter"]["contracts"][0]["rooms"])


def test_every_import_is_one_that_the_table_of_rooms_allows() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [lint, "--no-cache", "--no-logo"], cwd=CHECKOUT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_and_module_of_the_package_is_a_room() -> None:
    rooms = table()
    names = {path.stem if path.suffix == ".py" else path.name for path in PACKAGE.iterdir()}
    names -= {"__init__", "__pycache__", "py.typed"}
    assert {name for name in names if room_of(name, rooms) is None} == set()


def test_a_room_names_only_rooms_of_the_table() -> None:
    rooms = table()
    assert {other for allowed in rooms.values() for other in allowed} - set(rooms) - {"*"} == set()


def test_mechanisms_do_not_know_each_other_nor_the_truth() -> None:
    """The table itself must not drift: these lines are what fleets and foreign drivers rely on."""
    rooms = table()
    assert rooms["model"] == frozenset()
    for mechanism in ("drivers", "targets", "brick", "image", "keymgr", "backup", "compute"):
        own = {name for name in rooms if name.startswith(f"{mechanism}.")}
        assert rooms[mechanism] - own <= {"model", "host", "openstack"}
    assert not {"drivers", "targets", "brick", "host"} & (rooms["operations"] | rooms["api"])
    assert [room for room, allowed in rooms.items() if "process" in allowed] == ["cli"]


def test_the_longest_room_wins() -> None:
    rooms = read_table(["drivers -> host", "drivers.driver -> model", "host ->"])
    assert room_of("drivers.driver", rooms) == "drivers.driver"
    assert room_of("drivers.file.layers", rooms) == "drivers"
    assert room_of("drivers_of_others", rooms) is None


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        ("api.v3.volumes", "operations.volume.create", True),
        ("api.v3.volumes", "drivers.file.layers", False),
        ("operations.volume.create", "drivers.driver", True),
        ("operations.volume.create", "drivers.file", False),
        ("operations.volume.create", "drivers", False),
        ("store.schema", "api.app", False),
        ("attic.box", "model.units", False),
    ],
)
def test_the_contract_refuses_what_is_not_in_the_table(importer: str, imported: str, kept: bool) -> None:
    graph = grimp.ImportGraph()
    for name in ("here", f"here.{importer}", f"here.{imported}"):
        graph.add_module(name)
    graph.add_import(
        importer=f"here.{importer}", imported=f"here.{imported}", line_number=7, line_contents="import it"
    )
    lines = [f"{room} -> {' '.join(allowed)}" for room, allowed in table().items()]
    contract = RoomsContract("rooms", {"root_packages": ["here"]}, {"rooms": lines})
    check = contract.check(graph, verbose=False)
    assert check.kept is kept
    assert kept or f"here.{importer}" in {refusal.importer for refusal in check.metadata["refusals"]}


def test_the_command_line_loads_nothing_of_the_service_until_it_is_asked_to() -> None:
    if not any((PACKAGE / "cli").glob("[!_]*.py")):
        pytest.skip("the command line is not written yet")
    program = f"import sys, breezeblock.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"

# SPDX-License-Identifier: Apache-2.0
"""The package imports only what it asks to be installed, and every pin is exact and says no place."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "src"

#: Bindings that only a distribution ships, for its own python3; imported where they are used, never at a module's head.
OF_THE_DISTRIBUTION = {"rados", "rbd", "libvirt", "rtslib_fb"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;~! ]", name)[0]).lower()


def project() -> dict:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def imported() -> dict[str, str]:
    """Each package from outside, with one of the files that import it."""
    found = {}
    for path in (SOURCE / "breezeblock").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top != "breezeblock" and top not in sys.stdlib_module_names:
                    found[top] = path.relative_to(CHECKOUT).as_posix()
    return found


def test_every_import_from_outside_is_a_declared_dependency() -> None:
    described = project()
    extras = described["optional-dependencies"]
    declared = {plain(one) for one in [*described["dependencies"], *extras["pg"], *extras["mariadb"]]}
    sources = packages_distributions()
    undeclared = {
        name: path
        for name, path in imported().items()
        if name not in OF_THE_DISTRIBUTION and not {plain(one) for one in sources.get(name, [])} & declared
    }
    assert undeclared == {}


def test_every_pin_is_exact_and_names_no_place() -> None:
    lines = [
        line for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_every_declared_dependency_is_pinned() -> None:
    described = project()
    pinned = {plain(line) for line in (CHECKOUT / "constraints.txt").read_text().splitlines()}
    declared = {plain(one) for group in described["optional-dependencies"].values() for one in group}
    declared |= {plain(one) for one in described["dependencies"]}
    assert declared - pinned == set()

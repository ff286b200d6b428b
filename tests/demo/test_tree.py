# SPDX-License-Identifier: Apache-2.0
"""The tree of files and its digest: what the demonstration believes in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from breezeblock.demo import tree


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same tree in small: a library of three files, four folders of generated ones."""
    library = tmp_path / "library"
    (library / "json").mkdir(parents=True)
    for name in ("a.py", "json/b.py", "c.py"):
        (library / name).write_text(f"# {name}\n")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(library)})
    monkeypatch.setattr(tree, "FOLDERS", 4)
    monkeypatch.setattr(tree, "FILES", 6)


def test_the_same_seed_writes_the_same_tree(tmp_path: Path) -> None:
    tree.write(tmp_path / "one")
    tree.write(tmp_path / "two")
    assert tree.digest(tmp_path / "one") == tree.digest(tmp_path / "two")
    assert tree.digest(tmp_path / "one").files == 3 + 4 * 6 + 5


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("generated/03/005.bin", flip),
        ("generated/00/000.bin", lambda path: path.rename(path.with_name("x"))),
        ("generated/00/000.bin", Path.unlink),
        ("awkward/private", lambda path: path.chmod(0o644)),
        ("awkward/link", relink),
        ("awkward/sparse", lambda path: os.truncate(path, path.stat().st_size - 1)),
        ("awkward/new", Path.touch),
    ],
)
def test_the_digest_notices_every_kind_of_damage(
    tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    tree.write(tmp_path / "tree")
    before = tree.digest(tmp_path / "tree")
    damage(tmp_path / "tree" / name)
    assert tree.digest(tmp_path / "tree").sha256 != before.sha256


def test_changing_is_as_repeatable_as_writing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tree.write(tmp_path / name)
        tree.change(tmp_path / name)
    assert tree.digest(tmp_path / "one") == tree.digest(tmp_path / "two")
    tree.write(tmp_path / "three")
    assert tree.digest(tmp_path / "three").sha256 != tree.digest(tmp_path / "one").sha256

# SPDX-License-Identifier: Apache-2.0
"""The rules for files: a licence line, a docstring that says what it owns, one idea's length, names of the field, and tests
that assert something."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LICENCE = "SPDX-License-Identifier: Apache-2.0"
LONGEST = 400

#: Longer files, each with the reason why its idea does not come apart.
LONG_FILES: dict[str, str] = {
    "src/breezeblock/store/schema.py": "the tables of the whole truth, to be read side by side",
}

FORBIDDEN_NAMES = re.compile(r"(^|_)(helpers?|utils?|common|misc|managers?)(_|$)", re.IGNORECASE)


def files() -> Iterator[Path]:
    """Committed files and those about to be; without git (an unpacked release), whatever is there."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode == 0:
        found = [CHECKOUT / name for name in done.stdout.splitlines()]
    else:
        found = [path for folder in ("src", "tests", "tools") for path in (CHECKOUT / folder).rglob("*.*")]
        found += [CHECKOUT / "dev", CHECKOUT / "pyproject.toml"]
    yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def relative(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def python_files() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def _carries_code(path: Path) -> bool:
    return path.suffix in {".py", ".sh", ".toml", ".sql"} or relative(path) in {"dev", ".ci/run"}


def test_every_file_of_code_begins_with_its_licence() -> None:
    bare = []
    for path in files():
        if _carries_code(path):
            first = path.read_text().splitlines()[:2]
            if first and first[0].startswith("#!"):
                first = first[1:]
            if not first or LICENCE not in first[0]:
                bare.append(relative(path))
    assert bare == []


def test_every_module_says_in_one_paragraph_what_it_owns() -> None:
    silent = []
    for path in python_files():
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        if not docstring and len(path.read_text().splitlines()) > 1:
            silent.append(relative(path))
    assert silent == []


def test_no_file_is_longer_than_one_idea_without_a_reason() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in python_files()}
    long = {name: length for name, length in lengths.items() if length > LONGEST}
    assert {name: length for name, length in long.items() if name not in LONG_FILES} == {}
    assert [name for name in LONG_FILES if not (CHECKOUT / name).exists()] == []


def test_names_are_nouns_of_the_field() -> None:
    vague = []
    for path in python_files():
        vague += [
            relative(path) for part in Path(relative(path)).parts if FORBIDDEN_NAMES.search(Path(part).stem)
        ]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                spaced = re.sub(r"(?<!^)(?=[A-Z])", "_", node.name)
                if FORBIDDEN_NAMES.search(spaced):
                    vague.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert vague == []


def _asserts(function: ast.AST) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            # A check may live in a function of its own; its name then says so.
            if re.match(
                r"(raises|warns|fail|assert|check|expect|verify|must|run_state_machine)", name.lstrip("_")
            ):
                return True
    return False


def test_every_test_asserts_something() -> None:
    idle = []
    for path in python_files():
        if not path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and not _asserts(node):
                idle.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert idle == []


@pytest.mark.parametrize("call", ["shell=True", "os.system(", "os.popen("])
def test_no_program_is_run_through_a_shell(call: str) -> None:
    source = CHECKOUT / "src"
    assert [
        relative(path) for path in python_files() if source in path.parents and call in path.read_text()
    ] == []


def test_the_checkout_holds_no_path_of_the_machine_it_was_written_on() -> None:
    """Tests and sources are the same in every clone: they must not name the folder they happen to lie in."""
    if len(CHECKOUT.parts) < 3:
        pytest.skip("this clone's path is too short to tell")
    here = re.compile(re.escape(str(CHECKOUT)) + r"(?![\w-])")
    texts = [
        path for path in files() if path.suffix in {".py", ".sh", ".toml", ".md", ".txt", ".sql", ".html"}
    ]
    assert [relative(path) for path in texts if here.search(path.read_text(errors="replace"))] == []

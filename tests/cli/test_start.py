# SPDX-License-Identifier: Apache-2.0
"""What starting the command costs: counted in modules, which a busy machine cannot change, and once in time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import pytest

from breezeblock.cli.parser import build

HEAVY = {"sqlalchemy", "starlette", "uvicorn", "httpx", "rich", "msgspec", "cyclopts", "alembic", "asyncio"}


def leaves() -> list[list[str]]:
    found = []

    def walk(parser: object, words: list[str]) -> None:
        below = [a for a in parser._actions if getattr(a, "choices", None) and hasattr(a, "add_parser")]  # type: ignore[attr-defined]
        for action in below:
            for name, child in action.choices.items():
                walk(child, [*words, name])
        if not below:
            found.append(words)

    walk(build(), [])
    return found


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_has_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        build().parse_args([*words, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: breezeblock {' '.join(words)}")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom breezeblock.cli.main import run\ntry: run(['volume', 'create', '--help'])\nexcept SystemExit: pass\n"
    code += "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.slow
def test_help_answers_in_less_than_200_ms() -> None:
    """By the processor's time: what else runs on the machine must not decide it."""

    def once() -> float:
        began = os.times()
        subprocess.run(
            [sys.executable, "-m", "breezeblock.cli", "volume", "create", "--help"],
            capture_output=True,
            timeout=30,
        )
        ended = os.times()
        return ended.children_user + ended.children_system - began.children_user - began.children_system

    once()
    assert statistics.median(once() for _ in range(9)) < 0.2

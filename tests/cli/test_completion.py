# SPDX-License-Identifier: Apache-2.0
"""What Tab offers, and that the shells accept the scripts."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["vol"], ["volume"]),
        (["volume", "cr"], ["create"]),
        (["volume", "create", "--from-"], ["--from-snapshot", "--from-volume"]),
        (["attach", "x", "--mkfs", ""], ["ext4", "xfs"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["operation", "list", "--state", "r"], ["ready", "running"]),
        (["nonsense", ""], []),
        (["--"], ["--help", "--version"]),
    ],
)
def test_the_candidates_come_from_the_commands_themselves(
    command: Command, words: list[str], offered: list[str]
) -> None:
    assert command("complete-words", "--", *words).out.split() == offered


def test_names_of_volumes_are_offered(fake: Fake, command: Command) -> None:
    fake.on(
        "GET",
        "/v3/volumes",
        Reply(200, {"volumes": [{"id": "1", "name": "alpha"}, {"id": "2", "name": "a b"}]}),
    )
    assert command("complete-words", "--", "volume", "show", "").out.split() == ["2", "alpha"]


@pytest.mark.parametrize(
    "name",
    [
        "web;reboot",
        "$(reboot)",
        "`reboot`",
        "w|sh",
        "w&",
        "w>x",
        "*",
        "w'",
        'w"',
        "w\\",
        "~root",
        "-f",
        "=ls",
        "!!",
        "{a,b}",
    ],
)
def test_a_name_that_a_shell_would_act_on_is_offered_as_its_id(
    fake: Fake, command: Command, name: str
) -> None:
    fake.on("GET", "/v3/volumes", Reply(200, {"volumes": [{"id": "1", "name": name}]}))
    assert command("complete-words", "--", "volume", "delete", "").out.split() == ["1"]


def test_without_a_service_tab_offers_nothing_and_says_nothing(command: Command) -> None:
    ran = command("complete-words", "--", "volume", "show", "")
    assert ran.out.strip() == ""
    assert ran.err == ""


def test_every_shell_accepts_its_script(command: Command) -> None:
    checked = []
    for shell in ("bash", "zsh", "fish"):
        script = command("completion", shell).out
        assert "breezeblock complete-words" in script
        # bash is everywhere; of the others, those that this machine has.
        if shutil.which(shell):
            done = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True, timeout=20)
            assert done.returncode == 0, done.stderr
            checked.append(shell)
    assert "bash" in checked


def test_bash_completes_with_it(command: Command) -> None:
    script = command("completion", "bash").out
    probe = f"""
breezeblock() {{ printf '%s\\n' volume; }}
{script}
COMP_WORDS=(breezeblock vol); COMP_CWORD=1; compopt() {{ :; }}
_breezeblock; printf '%s' "${{COMPREPLY[*]}}"
"""
    done = subprocess.run(["bash", "-c", probe], text=True, capture_output=True, timeout=20)
    assert done.stdout == "volume", done.stderr

# SPDX-License-Identifier: Apache-2.0
"""How a command ends when it cannot do what it was asked: the code, the sentence, and the document."""

from __future__ import annotations

import pytest

from breezeblock.cli.exits import REFUSED, USAGE
from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply, volume

VOLUME = volume()["id"]


def test_a_fault_of_the_contract_is_one_sentence(fake: Fake, command: Command) -> None:
    fault = {"badRequest": {"code": 400, "message": "Volume status must be available; there was in-use."}}
    fake.on("POST", f"/v3/volumes/{VOLUME}/action", Reply(400, fault))
    ran = command("volume", "extend", VOLUME, "3G")
    assert ran.status == REFUSED
    assert ran.err == "breezeblock: Volume status must be available; there was in-use.\n"


def test_a_fault_of_the_extension_brings_numbers_and_remedy(fake: Fake, command: Command) -> None:
    error = {
        "code": "status.wrong",
        "message": "Past the pivot.",
        "needed": "a",
        "had": "b",
        "remedy": "Wait.",
    }
    fault = {"conflictingRequest": {"code": 409, "message": "Past the pivot.", "error": error}}
    fake.on("POST", f"/v3/breezeblock/operations/{VOLUME}/cancel", Reply(409, fault))
    ran = command("operation", "cancel", VOLUME, "--json")
    assert ran.document == {
        "error": {
            "code": "status.wrong",
            "message": "Past the pivot.",
            "exit": 1,
            "needed": "a",
            "had": "b",
            "remedy": "Wait.",
            "operation_id": None,
        }
    }


def test_a_wrong_token_says_where_the_token_came_from(fake: Fake, command: Command) -> None:
    fake.on("GET", "/v3/volumes/detail", Reply(401, {"unauthorized": {"code": 401, "message": "no"}}))
    ran = command("volume", "list")
    assert ran.status == REFUSED
    assert "does not accept the token" in ran.err
    assert "options or environment" in ran.err
    assert "a-token" not in ran.err


def test_an_answer_that_is_not_json_is_not_a_traceback(fake: Fake, command: Command) -> None:
    fake.on("GET", "/v3/volumes/detail", Reply(502, "oops", {"Content-Type": "text/html"}))
    ran = command("volume", "list")
    assert ran.status == REFUSED
    assert "oops" in ran.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["vlume"], "there is no 'vlume'; did you mean 'volume'?"),
        (["volume", "creat"], "did you mean 'create'?"),
        (["volume", "create", "x"], "a new volume needs a size"),
        (["volume", "create", "x", "512M"], "Say 1G."),
        (["volume", "create", "x", "1", "--property", "novalue"], "'novalue' is not KEY=VALUE"),
        (["volume", "list", "--bogus"], "--bogus"),
        (["volume", "list", "--limit", "0"], "not a number of at least 1"),
        (["volume", "extend", "x", "3", "--timeout", "soon"], "not a duration"),
        (["attach"], "VOLUME"),
        (["serve", "--data", ""], "'' is not a folder"),
        (["volume", "set", VOLUME], "nothing to set"),
    ],
)
def test_usage_errors_are_one_sentence_with_a_suggestion(
    fake: Fake, command: Command, words: list[str], sentence: str
) -> None:
    ran = command(*words)
    assert ran.status == USAGE
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert fake.asked == []


def test_usage_errors_answer_in_json_when_json_is_wanted(command: Command) -> None:
    ran = command("volume", "create", "--json")
    assert ran.status == USAGE
    assert ran.document["error"]["exit"] == USAGE


@pytest.mark.parametrize("flag", [["--no-wait"], []])
def test_making_a_file_system_is_refused_before_anything_is_attached(
    fake: Fake, command: Command, flag: list[str]
) -> None:
    ran = command("attach", VOLUME, "--mkfs", "ext4", "--ro", *flag)
    assert ran.status == REFUSED
    assert fake.asked == []


@pytest.mark.parametrize(
    "words",
    [
        ("volume", "show", "\udcff"),
        ("volume", "create", "\udce9t\udce9", "1"),
        ("volume", "list", "--name", "\udcff"),
    ],
)
def test_what_is_not_utf8_is_a_usage_error_and_asks_nothing(
    fake: Fake, command: Command, words: tuple[str, ...]
) -> None:
    ran = command(*words, "--json")
    assert ran.status == USAGE
    assert ran.document["error"]["needed"] == "UTF-8"
    assert "\\x" in ran.document["error"]["had"]
    assert fake.asked == []

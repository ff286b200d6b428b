# SPDX-License-Identifier: Apache-2.0
"""Waiting for an operation: what is shown, when it stops, and that nothing is lost when it stops early."""

from __future__ import annotations

import io
import os
import signal
import threading
from typing import Any

import pytest

from breezeblock.cli import wait
from breezeblock.cli.client import Client, Unreachable
from breezeblock.cli.credentials import Credentials
from breezeblock.cli.exits import INTERRUPTED, REFUSED, TIMED_OUT, Ended
from tests.cli.conftest import Command
from tests.cli.fake import Fake, Reply, operation, volume

OPERATION = operation()["id"]
VOLUME = volume()["id"]
HEADERS = {"X-Breezeblock-Operation": OPERATION}
PATH = f"/v3/breezeblock/operations/{OPERATION}"


@pytest.fixture
def creating(fake: Fake) -> Fake:
    """A service that accepts a volume."""
    fake.on("POST", "/v3/volumes", Reply(202, {"volume": volume(status="creating")}, HEADERS))
    fake.on("GET", f"/v3/volumes/{VOLUME}", Reply(200, {"volume": volume()}))
    return fake


def seen(*states: dict[str, Any]) -> list[Reply]:
    return [Reply(200, {"operation": operation(**state)}) for state in states]


def test_a_pipe_gets_one_line_per_change(creating: Fake, command: Command) -> None:
    states = [
        {"task": "place"},
        {"task": "create"},
        {"task": "create"},
        {"task": "create"},
        {"state": "succeeded"},
    ]
    creating.on("GET", PATH, *seen(*states))
    ran = command("volume", "create", "data", "2G")
    assert ran.status == 0
    assert ran.err.splitlines() == [
        f"volume.create {VOLUME}: running, place",
        f"volume.create {VOLUME}: running, create",
    ]
    assert "available" in ran.out


def test_a_terminal_gets_one_live_line_that_goes_away() -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    progress = wait.Progress(stream)
    progress.show("copying", measure="1 MiB of 2 MiB (50 %)")
    progress.show("copying", measure="2 MiB")
    progress.clear()
    text = stream.getvalue()
    assert "\n" not in text
    assert "50 %" in text
    assert text.endswith("\r")


def test_json_prints_one_document_and_nothing_else(creating: Fake, command: Command) -> None:
    creating.on("GET", PATH, *seen({}, {"state": "succeeded"}))
    ran = command("volume", "create", "data", "2G", "--json")
    assert ran.document["volume"]["id"] == VOLUME
    assert ran.document["operation"]["state"] == "succeeded"
    assert ran.err == ""


def test_no_wait_returns_at_once_and_names_the_operation(creating: Fake, command: Command) -> None:
    creating.on("GET", PATH, *seen({}))
    ran = command("volume", "create", "data", "2G", "--no-wait")
    assert ran.status == 0
    assert OPERATION in ran.err
    assert [a.query for a in creating.asked if a.path == PATH] == [{}]


def test_a_failed_operation_is_one_sentence_with_the_numbers_and_the_remedy(
    creating: Fake, command: Command
) -> None:
    error = {
        "code": "storage.full",
        "message": "There is not enough space",
        "needed": "2 GiB",
        "had": "1 GiB",
        "remedy": "Free space.",
    }
    creating.on("GET", PATH, *seen({}, {"state": "failed", "error": error}))
    ran = command("volume", "create", "data", "2G")
    assert ran.status == REFUSED
    sentence = "There is not enough space; needed 2 GiB; there was 1 GiB. Free space."
    assert ran.err.splitlines()[-1] == f"breezeblock: {sentence} (operation {OPERATION})"


def test_after_the_timeout_the_operation_goes_on_and_is_named(creating: Fake, command: Command) -> None:
    creating.on("GET", PATH, *seen({}))
    ran = command("volume", "create", "data", "2G", "--timeout", "0.2")
    assert ran.status == TIMED_OUT
    assert f"operation {OPERATION} has not ended" in ran.err
    assert "It goes on" in ran.err


def test_ctrl_c_stops_the_waiting_and_not_the_operation(creating: Fake, command: Command) -> None:
    creating.on("GET", PATH, *seen({}))
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    ran = command("volume", "create", "data", "2G")
    assert ran.status == INTERRUPTED
    assert f"operation {OPERATION} goes on" in ran.err
    assert not [a for a in creating.asked if a.path.endswith("/cancel")]


def test_a_wait_outlasts_a_service_that_is_away(creating: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    creating.on("GET", PATH, *seen({}, {"state": "succeeded"}))
    real, calls = Client.get, iter([0, 1, 1])

    def flaky(client: Client, path: str, **query: object) -> object:
        if next(calls, 0):
            raise Unreachable(creating.endpoint, "Connection refused")
        return real(client, path, **query)

    monkeypatch.setattr(Client, "get", flaky)
    stream = io.StringIO()
    with Client(Credentials(creating.endpoint, "t", "", "test")) as client:
        assert wait.for_operation(client, OPERATION, wait.Progress(stream))["state"] == "succeeded"
    assert "does not answer" in stream.getvalue()


def test_a_service_that_stays_away_ends_the_wait(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(Credentials("http://127.0.0.1:1", "t", "", "test"))
    monkeypatch.setattr(wait, "AWAY_SECONDS", 0.1)
    with pytest.raises(Ended, match="cannot be reached"):
        wait.for_operation(client, OPERATION, wait.Progress(quiet=True))


def test_between_two_attempts_it_says_what_is_missing(creating: Fake, command: Command) -> None:
    error = {"code": "outside.unreachable", "message": "The storage folder is not there."}
    creating.on(
        "GET", PATH, *seen({"state": "waiting", "error": error}, {"state": "succeeded", "error": None})
    )
    assert (
        "waiting, create: The storage folder is not there." in command("volume", "create", "data", "2G").err
    )

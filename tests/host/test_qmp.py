# SPDX-License-Identifier: Apache-2.0
"""The QMP client against a server of the test's own that says what a real daemon says only rarely."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from breezeblock.host.qmp import connected
from breezeblock.model import errors

GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n'
Script = Callable[[TextIO], None]


@pytest.fixture
def path() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bb-"))
    yield folder / "monitor"
    shutil.rmtree(folder)


@contextlib.contextmanager
def serving(path: Path, script: Script) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as stream:
                with contextlib.suppress(OSError, ValueError):
                    script(stream)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def greet(stream: TextIO) -> None:
    say(stream, GREETING)
    answer(stream, "{}")


def say(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def answer(stream: TextIO, result: str, *, before: str = "") -> None:
    asked = json.loads(stream.readline())
    say(stream, f'{before}{{"return": {result}, "id": {asked["id"]}}}\n')


def test_events_between_an_answer_and_its_question_are_kept(path: Path) -> None:
    def script(stream: TextIO) -> None:
        greet(stream)
        other = '{"event": "JOB_STATUS_CHANGE", "data": {"id": "x"}}\n'
        wanted = '{"event": "BLOCK_EXPORT_DELETED", "data": {"id": "e"}}\n'
        answer(stream, "{}", before=other + wanted)

    with serving(path, script), connected(path) as qmp:
        assert qmp.execute("block-export-del", {"id": "e"}) == {}
        assert qmp.event("BLOCK_EXPORT_DELETED", lambda data: bool(data["id"] == "e"), timeout=1.0) == {
            "id": "e"
        }


def test_an_answer_in_pieces_is_put_together(path: Path) -> None:
    def script(stream: TextIO) -> None:
        greet(stream)
        asked = json.loads(stream.readline())
        for piece in ('{"return": [1,', " 2], ", f'"id": {asked["id"]}}}\n'):
            say(stream, piece)

    with serving(path, script), connected(path) as qmp:
        assert qmp.execute("query-jobs") == [1, 2]


def test_a_refusal_carries_the_daemons_own_words(path: Path) -> None:
    def script(stream: TextIO) -> None:
        greet(stream)
        asked = json.loads(stream.readline())
        say(
            stream,
            json.dumps({"error": {"class": "GenericError", "desc": "no such node"}, "id": asked["id"]})
            + "\n",
        )

    with serving(path, script), connected(path) as qmp:
        with pytest.raises(errors.ProgramFailed, match="no such node") as refused:
            qmp.execute("blockdev-del", {"node-name": "x"})
        assert refused.value.facts["kind"] == "GenericError"


def test_silence_ends_at_the_deadline(path: Path) -> None:
    hold = threading.Event()

    def script(stream: TextIO) -> None:
        greet(stream)
        hold.wait(10)

    with serving(path, script), connected(path) as qmp:
        with pytest.raises(errors.TimedOut):
            qmp.execute("query-jobs", timeout=0.1)
        with pytest.raises(errors.TimedOut):
            qmp.event("ANY", lambda _: True, timeout=0.1)
        hold.set()


def test_a_daemon_that_hangs_up_or_is_absent_is_unreachable(path: Path) -> None:
    with pytest.raises(errors.Unreachable), connected(path):
        pass

    with serving(path, greet), connected(path) as qmp, pytest.raises(errors.Unreachable):
        qmp.execute("query-jobs")


def test_somebody_else_at_the_socket_is_recognised(path: Path) -> None:
    with (
        serving(path, lambda stream: say(stream, '{"hello": 1}\n')),
        pytest.raises(errors.Unreachable),
        connected(path),
    ):
        pass
    assert path.exists()

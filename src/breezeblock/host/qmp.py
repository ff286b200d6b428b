# SPDX-License-Identifier: Apache-2.0
"""A small synchronous client of the QEMU machine protocol: one connection, one caller, every wait with a deadline. A daemon's
monitor serves one connection at a time, so connections are short. Must never retry: the caller knows what a lost answer means."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from breezeblock.model import errors

Event = dict[str, Any]


def refusal(command: str, kind: str, description: str) -> errors.ProgramFailed:
    """The daemon refused a command: `kind` is QMP's error class, `description` its own words (both in `facts`)."""
    return errors.ProgramFailed(
        f"The storage daemon refused {command}: {description}",
        remedy="Look at the daemon's log beside its sockets; nothing was changed.",
        command=command,
        kind=kind,
        description=description,
    )


class Qmp:
    """An open, negotiated connection. Made by `connected`."""

    def __init__(self, sock: socket.socket, where: str, deadline: float) -> None:
        self._socket, self._where = sock, where
        self._buffer = b""
        self._events: deque[Event] = deque()
        self._id = 0
        greeting = self._receive(deadline)
        if "QMP" not in greeting:
            raise errors.Unreachable(
                f"{where} does not speak QMP", needed="a QMP greeting", had=str(greeting)[:80]
            )
        self.execute("qmp_capabilities", timeout=max(0.1, deadline - time.monotonic()))

    def execute(self, command: str, arguments: dict[str, Any] | None = None, *, timeout: float = 10.0) -> Any:
        """Send one command; return its answer. Events that come in between are kept for `event`."""
        self._id += 1
        deadline = time.monotonic() + timeout
        message: dict[str, Any] = {"execute": command, "id": self._id}
        if arguments is not None:
            message["arguments"] = arguments
        self._patience(deadline, command)
        with self._translated(command):
            self._socket.sendall(msgspec.json.encode(message) + b"\n")
        while True:
            answer = self._receive(deadline, command)
            if "event" in answer:
                self._events.append(answer)
            elif answer.get("id") == self._id:
                if "error" in answer:
                    raise refusal(command, answer["error"].get("class", ""), answer["error"].get("desc", ""))
                return answer["return"]

    def event(self, name: str, wanted: Callable[[dict[str, Any]], bool], *, timeout: float) -> dict[str, Any]:
        """The data of the next event `name` that is `wanted`, also one that came before. Others are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            event = self._events.popleft() if self._events else self._receive(deadline, f"the event {name}")
            if event.get("event") == name and wanted(event.get("data", {})):
                data: dict[str, Any] = event.get("data", {})
                return data

    def _receive(self, deadline: float, what: str = "a greeting") -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._patience(deadline, what)
            with self._translated(what):
                chunk = self._socket.recv(65536)
            if not chunk:
                raise errors.Unreachable(
                    f"The storage daemon at {self._where} hung up",
                    needed=f"an answer to {what}",
                    had="end of stream",
                )
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def _patience(self, deadline: float, what: str) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise errors.TimedOut(f"The storage daemon at {self._where} does not answer {what}")
        self._socket.settimeout(left)

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as late:
            raise errors.TimedOut(f"The storage daemon at {self._where} does not answer {what}") from late
        except OSError as broken:
            raise errors.Unreachable(
                f"The storage daemon at {self._where} is gone: {broken.strerror}"
            ) from broken


@contextlib.contextmanager
def connected(path: Path, *, timeout: float = 5.0) -> Iterator[Qmp]:
    """A connection to the monitor socket at `path`. Raises Unreachable when nobody listens, TimedOut when nobody answers (also
    while another connection is being served)."""
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError) as absent:
            raise errors.Unreachable(f"No storage daemon listens at {path}") from absent
        except TimeoutError as late:
            raise errors.TimedOut(f"The storage daemon at {path} does not accept connections") from late
        yield Qmp(sock, os.fspath(path), deadline)

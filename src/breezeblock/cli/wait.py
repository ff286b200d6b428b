# SPDX-License-Identifier: Apache-2.0
"""Waiting for an operation: long polls it, shows one live line on a terminal and one line per change in a pipe (both on stderr), and
outlasts a restart of the service. Must never cancel anything: a wait that ends early leaves the operation going and says so."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from breezeblock.cli import render
from breezeblock.cli.client import Client, Unreachable
from breezeblock.cli.exits import INTERRUPTED, TIMED_OUT, Ended, failure

ENDED = frozenset({"succeeded", "failed", "cancelled"})
#: Seconds of one long poll: the live line breathes every second.
POLL_SECONDS = 1.0
#: A service that was restarted is back well before; an operation survives it, so the wait does too.
AWAY_SECONDS = 30.0
_SPINNER = "|/-\\"


class Progress:
    """The line that says what goes on. `quiet` shows nothing."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.quiet, self.live = quiet, self.stream.isatty()
        self._said, self._drawn, self._turn = "", 0, 0

    def show(self, text: str, *, measure: str = "") -> None:
        """`text` changes seldom, `measure` (bytes, percent) all the time: only a terminal sees the latter."""
        if self.quiet:
            return
        if not self.live:
            if text != self._said:
                print(text, file=self.stream, flush=True)
            self._said = text
            return
        self._turn += 1
        line = f"{_SPINNER[self._turn % len(_SPINNER)]} {text}" + (f"  {measure}" if measure else "")
        self.stream.write("\r" + render.pad(line, self._drawn))
        self.stream.flush()
        self._drawn = render.width(line)

    def clear(self) -> None:
        if self.live and self._drawn:
            self.stream.write("\r" + " " * self._drawn + "\r")
            self.stream.flush()
        self._drawn = 0

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self.quiet:
            self.clear()
            print(text, file=self.stream, flush=True)


def for_operation(
    client: Client,
    operation: str,
    progress: Progress,
    *,
    timeout: float | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Mapping[str, Any]:
    """The operation's document once it has succeeded. Raises Ended: failed (1), not in time (4), Ctrl-C (130)."""
    try:
        found = until_ended(client, operation, progress, timeout=timeout, now=now)
    except KeyboardInterrupt:
        raise Ended(
            INTERRUPTED,
            f"not waiting any longer: operation {operation} goes on",
            code="interrupted",
            remedy=f"See 'breezeblock operation show {operation}', or 'breezeblock operation cancel {operation}'.",
            operation=operation,
        ) from None
    finally:
        progress.clear()
    if found["state"] != "succeeded":
        error = found.get("error") or {
            "code": found["state"],
            "message": f"{found['kind']} was {found['state']}",
        }
        # The catalogue cannot know which id; here it is known.
        remedy = str(error.get("remedy") or "").replace(
            " explain ID'", f" explain {found.get('resource_id')}'"
        )
        error = {**error, "remedy": remedy}
        raise failure(error, operation)
    return found


def until_ended(
    client: Client,
    operation: str,
    progress: Progress,
    *,
    timeout: float | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Mapping[str, Any]:
    """The operation's document once it has ended, however it ended."""
    deadline = None if timeout is None else now() + timeout
    away_since: float | None = None
    path, first = f"/breezeblock/operations/{operation}", True
    while True:
        left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, max(0.0, deadline - now()))
        try:
            # The first look does not wait, so that a terminal sees a line at once.
            found: Mapping[str, Any] = client.get(path, wait=None if first else f"{left:.2f}")["operation"]
            away_since, first = None, False
            if found["state"] in ENDED:
                return found
            progress.show(describe(found), measure=measure(found))
        except Unreachable:
            away_since = now() if away_since is None else away_since
            if now() - away_since > AWAY_SECONDS:
                raise
            progress.show("the service does not answer; its operations go on when it is back")
            time.sleep(min(0.2, left))
        if deadline is not None and now() >= deadline:
            raise Ended(
                TIMED_OUT,
                f"operation {operation} has not ended",
                code="timed-out",
                needed="its end",
                had=f"--timeout {timeout:g}",
                remedy=f"It goes on: see 'breezeblock operation show {operation}'.",
                operation=operation,
            )


def describe(operation: Mapping[str, Any]) -> str:
    """What changes seldom: the verb, its state, its task."""
    text = f"{operation['kind']} {operation.get('resource_id') or ''}: {operation['state']}"
    if operation.get("task"):
        text += f", {operation['task']}"
    if operation.get("waits_for"):
        text += f" (waits for {operation['waits_for']})"
    elif operation["state"] == "waiting" and operation.get("error"):
        # Between two attempts: whoever watches wants to know what is missing, not only that something is.
        text += f": {render.clean(str(operation['error'].get('message')))}"
    return text


def measure(operation: Mapping[str, Any]) -> str:
    progress = operation.get("progress")
    if not progress or not progress.get("total"):
        return ""
    done, total = progress["done"], progress["total"]
    return f"{render.size(done)} of {render.size(total)} ({100 * done // total} %)"

# SPDX-License-Identifier: Apache-2.0
"""Named points at which a test may kill this process, to prove that the next owner can go on from there. Costs one comparison when
nothing is armed; must never do anything else but die.

`BREEZEBLOCK_KILL_AT=name` kills at the first `reach("name")`, `name:3` at the third. `BREEZEBLOCK_STOP_AT` stops (SIGSTOP) instead,
for take-over tests: the stopped process is continued later and has to find itself fenced out."""

from __future__ import annotations

import os
import signal
import threading


class _Armed:
    """One armed point: counts down visits, under a lock because drivers work in threads."""

    def __init__(self, variable: str, sent: signal.Signals) -> None:
        whole = os.environ.get(variable, "")
        name, _, nth = whole.rpartition(
            ":"
        )  # names have colons of their own: "volume.create:allocate:done-before"
        self.name, self.left = (name, int(nth)) if nth.isdigit() else (whole, 1)
        self.sent, self._lock = sent, threading.Lock()

    def visit(self) -> None:
        with self._lock:
            self.left -= 1
            due = self.left == 0
        if due:
            # To this thread: a stop sent to the process lets the thread that sent it run on for a moment.
            signal.pthread_kill(threading.get_ident(), self.sent)


_kill = _Armed("BREEZEBLOCK_KILL_AT", signal.SIGKILL)
_stop = _Armed("BREEZEBLOCK_STOP_AT", signal.SIGSTOP)


def reach(name: str) -> None:
    """This process is now at the point `name`."""
    if name == _kill.name:
        _kill.visit()
    if name == _stop.name:
        _stop.visit()


def arm(name: str) -> None:
    """Arm by hand, in a child process that a test forked."""
    global _kill
    os.environ["BREEZEBLOCK_KILL_AT"] = name
    _kill = _Armed("BREEZEBLOCK_KILL_AT", signal.SIGKILL)

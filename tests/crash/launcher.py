# SPDX-License-Identifier: Apache-2.0
"""Starts services for tests: a process that has imported everything once and forks a service for each order (a line of JSON on stdin, a
line of JSON back), because a start from nothing costs a second and the crash suite needs hundreds. The child is the product's own
composition root, `process.serve.run`, with three things put around it: kill points that are recorded and armed while it runs, drivers,
targets and connectors that fail on demand, and a socket to say so. No product code knows of any of this."""

from __future__ import annotations

from breezeblock.host import killpoint
from tests.crash.points import POINTS

killpoint.reach = POINTS.reach  # before anybody imports the name

import ctypes  # noqa: E402
import faulthandler  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import uvicorn  # noqa: E402,F401 - what a start imports late, here it is once
import uvloop  # noqa: E402,F401

import breezeblock.api.app  # noqa: E402,F401
from breezeblock.api import v3  # noqa: E402
from breezeblock.brick import factory  # noqa: E402
from breezeblock.drivers.faults import FaultyDriver  # noqa: E402
from breezeblock.host.faults import Fault, FaultKind  # noqa: E402
from breezeblock.process import backends  # noqa: E402
from breezeblock.process.serve import run  # noqa: E402
from breezeblock.targets.faults import FaultyTarget  # noqa: E402
from tests.crash.connector import FaultyConnector  # noqa: E402

#: (where, wrapper) of everything that can fail on demand in this service.
FAULTY: dict[str, list[Any]] = {"driver": [], "target": [], "connector": []}
#: what comes round in this service.
ROUNDS: list[Any] = []
#: faults that a start begins with.
PLANNED: list[dict[str, Any]] = []


def _around(where: str, wrapper: Any, made: Any) -> Any:
    wrapped = wrapper(made)
    FAULTY[where].append(wrapped)
    for one in PLANNED:
        _plan(one, where, wrapped)
    return wrapped


def _plan(one: dict[str, Any], where: str, wrapper: Any) -> None:
    if one["on"] == where:
        kind, times, seconds = FaultKind(one["kind"]), one.get("times", 1), one.get("seconds", 0.0)
        wrapper.plan(Fault(verb=one["verb"], kind=kind, times=times, seconds=seconds))


def _kept(periodic: Any) -> Any:
    ROUNDS.append(periodic)
    return periodic


def compose() -> None:
    """Put the faulty wrappers where the composition root makes the real things, and keep hold of what comes round."""
    put: Any = backends
    driver, local, nbd, connectors = put.FileDriver, put.LocalTarget, put.NbdTarget, factory.connectors
    put.FileDriver = lambda *a, **k: _around("driver", FaultyDriver, driver(*a, **k))
    put.LocalTarget = lambda *a, **k: _around("target", FaultyTarget, local(*a, **k))
    put.NbdTarget = lambda *a, **k: _around("target", FaultyTarget, nbd(*a, **k))
    put = sys.modules["breezeblock.process.serve"]
    periodic = put.Periodic
    put.Periodic = lambda *a, **k: _kept(periodic(*a, **k))
    put = factory
    put.connectors = lambda *a, **k: [
        _around("connector", FaultyConnector, one) for one in connectors(*a, **k)
    ]


def obey(order: dict[str, Any]) -> dict[str, Any]:
    """One command of the control socket."""
    if "arm" in order:
        POINTS.arm(order["arm"], order.get("nth", 1), order.get("signal", signal.SIGKILL))
    for one in order.get("plan", ()):
        for where, wrappers in FAULTY.items():
            for wrapper in wrappers:
                _plan(one, where, wrapper)
    if "round" in order:  # "look", "watch", "tidy", "report": now, not at its next turn
        getattr(ROUNDS[0], f"_{order['round']}")()
    if order.get("mend"):
        for wrappers in FAULTY.values():
            for wrapper in wrappers:
                wrapper.faults.mend()
    return {"calls": [call for wrapper in FAULTY["driver"] for call in wrapper.calls]}


def listen(path: str) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()

    def answer() -> None:
        while True:
            client, _ = server.accept()
            with client, client.makefile("rw") as stream:
                for line in stream:
                    stream.write(json.dumps(obey(json.loads(line))) + "\n")
                    stream.flush()

    threading.Thread(target=answer, name="test-control", daemon=True).start()


def become_service(order: dict[str, Any]) -> None:
    """In the forked child; does not return."""
    code = 99
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no service outlives the launcher
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, fd in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, fd)
        os.environ.update(order["environment"])
        faulthandler.register(signal.SIGUSR1)  # the stacks of all threads into the log
        POINTS.keep(Path(order["points"]))
        POINTS.arm(order["arm"], order["nth"])
        compose()
        PLANNED.extend(order["plan"])
        listen(order["control"])
        code = run(
            config=order["config"], listen=order["listen"], data=order["data"], ready_file=order["ready"]
        )
    except BaseException:  # the child must never return into the launcher's loop
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    v3.routes()  # imports every resource, once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then end what they started
    # The launcher ends with the test run that holds the other end of stdin; services are ended by who started them.
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            pid = os.fork()
            if pid == 0:
                become_service(order["start"])
            answer: dict[str, Any] = {"pid": pid}
        else:
            answer = {"status": _reap(order["wait"], order["seconds"])}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _reap(pid: int, seconds: float) -> int | None:
    """The exit code (negative: by a signal) of a service; None while it runs."""
    limit = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            return None
        time.sleep(0.002)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The real clients, pointed at one service without Keystone: the flags and variables that docs/CLI.md documents, and their output read
back into plain data."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab.presence import CLIENTS

#: Seconds for one answer; and for a volume to reach a status.
ANSWER, STATUS = 120.0, 60.0


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What `-f json` printed."""
        return json.loads(self.out)

    @property
    def record(self) -> dict[str, str]:
        """A table of Property and Value."""
        return {row[0]: row[1] for row in self._cells() if len(row) == 2}

    @property
    def rows(self) -> list[dict[str, str]]:
        """A table with a header."""
        cells = self._cells()
        return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]] if cells else []

    def _cells(self) -> list[list[str]]:
        lines = [line for line in self.out.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line[1:].rstrip().removesuffix("|").split(" | ")] for line in lines]


def environment(credentials: Mapping[str, str]) -> dict[str, str]:
    """What a person exports in a shell. CINDER_ENDPOINT, and not --os-endpoint, since cinder's own option of that name clashes with the
    one of its authentication plugin once the plugin is named in the environment."""
    endpoint = f"{credentials['endpoint'].rstrip('/')}/v3/{credentials['project_id']}"
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("OS_", "CINDER"))},
        "OS_TOKEN": credentials["token"],
        "OS_ENDPOINT": endpoint,
        "OS_COMPUTE_API_VERSION": "2.1",
        "CINDER_ENDPOINT": endpoint,
        "PYTHONWARNINGS": "ignore",
    }


def openstack_flags() -> list[str]:
    return ["--os-auth-type", "admin_token"]


def cinder_flags(project: str) -> list[str]:
    return ["--os-auth-type", "admin_token", "--os-project-id", project]


class Clients:
    """One process of the clients' environment, for as many calls as there are."""

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self.project = credentials["project_id"]
        self._environment = environment(credentials)
        self._process = subprocess.Popen(
            [CLIENTS / "python", Path(__file__).with_name("client_loop.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        )

    def openstack(self, *words: str, ok: bool = True) -> Ran:
        return self._call("openstack", [*openstack_flags(), *words], ok)

    def cinder(self, *words: str, ok: bool = True) -> Ran:
        return self._call("cinder", [*cinder_flags(self.project), *words], ok)

    def sdk(self, method: str, *positional: Any, **keywords: Any) -> Any:
        ran = self._call("sdk", [method, positional, keywords], True)
        return json.loads(ran.out)

    def program(self, name: str, *words: str) -> Ran:
        """The console script itself, as a person starts it."""
        flags = openstack_flags() if name == "openstack" else cinder_flags(self.project)
        done = subprocess.run(
            [CLIENTS / name, *flags, *words],
            capture_output=True,
            text=True,
            timeout=ANSWER,
            env=self._environment,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _call(self, client: str, argv: list[Any], ok: bool) -> Ran:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"client": client, "argv": argv}), file=self._process.stdin, flush=True)
        ran = Ran(**json.loads(self._process.stdout.readline()))
        if ok:
            assert ran.status == 0, f"{client} {' '.join(map(str, argv))}\n{ran.out}\n{ran.err}"
        return ran

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)


def must_become(look: Callable[[], Any], wanted: Any, *, seconds: float = STATUS) -> None:
    """Looks until the answer is what is wanted; an error status ends the waiting at once."""
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted:
        assert "error" not in str(found), f"wanted {wanted}, there was {found}"
        assert time.monotonic() < deadline, f"wanted {wanted}, there was {found} after {seconds:g} s"
        time.sleep(0.1)

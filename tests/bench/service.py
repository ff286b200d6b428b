# SPDX-License-Identifier: Apache-2.0
"""The service under measurement: a process of its own on the first core, started as a user starts it, asked over HTTP. The load comes
from another process on the last core. Must never reach into the service by any other way."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import clock
from tests.bench.load import Job, Result

CORES = sorted(os.sched_getaffinity(0))
#: Seconds.
READY, STOP, ANSWER = 30.0, 30.0, 120.0

_SETTINGS = """
[roles]
start = [{roles}]
[database]
url = "{url}"
[[backends]]
name = "local"
max_over_subscription_ratio = 1000.0
"""
EVERY_ROLE = ("api", "scheduler", "volume", "agent")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run of load. `cpu_us`: microseconds per request of the service with the programs it ran, and of its database server."""

    result: Result
    cpu_us: float

    @property
    def rate(self) -> float:
        return self.result.count / self.result.seconds


class Service:
    """`folder` gets the data; `database` is the pid of a database server whose time counts too (None: SQLite inside the service)."""

    def __init__(
        self, folder: Path, url: str = "", *, roles: tuple[str, ...] = EVERY_ROLE, database: int | None = None
    ) -> None:
        self.folder, self.url, self._database = folder, url, database
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "breezeblock.toml"
        self._settings.write_text(
            _SETTINGS.format(roles=", ".join(f'"{role}"' for role in roles), url=url), encoding="utf-8"
        )
        self._ready = folder / "ready"
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> float:
        """Seconds until the first answer."""
        self._ready.unlink(missing_ok=True)
        command = ["taskset", "-c", str(CORES[0]), sys.executable, "-m", "breezeblock.cli", "serve"]
        command += ["--config", str(self._settings), "--data", str(self.folder / "data")]
        command += ["--listen", "127.0.0.1:0", "--ready-file", str(self._ready)]
        began = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > READY:
                raise RuntimeError(f"the service does not answer: {self._last_words()}")
            time.sleep(0.002)
        return time.monotonic() - began

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        if not self._ready.exists() or not (written := self._ready.read_text()).endswith("\n"):
            return False
        self.port = int(written.rpartition(":")[2])
        try:
            return self.ask("GET", "/healthcheck")[0] == 200
        except OSError:
            return False

    def _last_words(self) -> str:
        return " / ".join((self.folder / "log").read_text(errors="replace").splitlines()[-5:])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # -- asking ----------------------------------------------------------------------------------------------------

    @property
    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "data" / "admin.json").read_text(encoding="utf-8"))
        return found

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request by hand: (status, document)."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER)
        headers = {"Content-Type": "application/json"}
        if path.startswith("/v3"):
            headers |= {"X-Auth-Token": self.credentials["token"], "OpenStack-API-Version": "volume 3.71"}
        try:
            self._connection.request(
                method, path, None if body is None else json.dumps(body).encode(), headers
            )
            answer = self._connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            raise ConnectionError(str(error)) from error
        return answer.status, json.loads(raw) if raw[:1] in (b"{", b"[") else None

    def request(self, method: str, path: str, body: Any = None) -> str:
        """A whole HTTP request for the load generator."""
        text = "" if body is None else json.dumps(body)
        head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"X-Auth-Token: {self.credentials['token']}"]
        head += ["OpenStack-API-Version: volume 3.71", "Accept: application/json"]
        if body is not None:
            head += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
        return "\r\n".join([*head, "", text])

    # -- measuring -------------------------------------------------------------------------------------------------

    def load(self, job: Job, expect: int) -> Measured:
        """Run a load and take what the service spent meanwhile; every answer must have the expected status."""
        before = self.cpu()
        result = generate(job)
        spent = self.cpu() - before
        if set(result.statuses) != {str(expect)}:
            raise RuntimeError(f"answers other than {expect}: {result.statuses}; {self._last_words()}")
        return Measured(result=result, cpu_us=spent / result.count * 1e6)

    def cpu(self) -> float:
        """Processor seconds so far: the service, the programs it ran, and its database server."""
        own = clock.cpu_seconds(self.pid) + clock.children_seconds(self.pid)
        if self._database is None:
            return own
        served = sum(clock.by_process(clock.family(self._database)).values())
        # a server process that has ended since the last look is in what its parent has waited for
        return own + served + clock.children_seconds(self._database)

    def resident_mib(self) -> float:
        return clock.resident_mib(self.pid)


def generate(job: Job) -> Result:
    """Run the load generator."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"],
        input=msgspec.json.encode(msgspec.structs.replace(job, core=CORES[-1])),
        capture_output=True,
        timeout=300,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        return msgspec.json.decode(done.stdout, type=Result)
    except msgspec.MsgspecError as error:
        said = done.stderr.decode(errors="replace")[-1000:]
        raise RuntimeError(
            f"the load generator ended with {done.returncode} after {len(done.stdout)} bytes ({error}): {said}"
        ) from error

# SPDX-License-Identifier: Apache-2.0
"""Exporter processes: they carry people's disks, so they live in sessions of their own, hold nothing of the service (no file
descriptor, no terminal, no working folder) and outlive it. Owns how one is started, recognised, found again and ended. Must never
signal a process that it has not recognised, nor one by its name.

Recognition. A pid alone means nothing: it is reused, and after a reboot it is somebody else. A record holds the pid, the start
time (clock ticks since boot, field 22 of /proc/PID/stat) and the boot id; the three together never come again. Signals go through a
pidfd that is opened first and compared afterwards, so that the process cannot be exchanged in between.

No leak. Between starting a process and writing its record the service may be killed. So every exporter carries a token, unique to
one start, in its command line, and the token is on disk before the process is started: `find` gives back whoever carries it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from breezeblock.host.executor import find_program
from breezeblock.model import errors

#: Writes its own pid, then becomes the program: the pid in the file is the exporter's.
_LAUNCH = 'umask 077; echo "$$" >"$1.draft" && mv "$1.draft" "$1" && shift && exec "$@"'

#: All that an exporter sees of the service's environment, which may hold secrets. (The last is how the tests find leftovers.)
_INHERITED = ("PATH", "HOME", "XDG_RUNTIME_DIR", "BREEZEBLOCK_TEST_RUN")


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One process of one boot. `start` is in clock ticks since that boot."""

    pid: int
    start: int
    boot: str
    token: str


def boot_id() -> str:
    """Differs after every boot of this host's kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def new_token() -> str:
    """Unique to one start of one exporter. Letters and digits only, so that it fits into any option of any program."""
    return "bz" + secrets.token_hex(8)


def start_time(pid: int) -> int | None:
    """Clock ticks since boot; None when there is no such process or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name (field 2) may hold spaces and parentheses: count from the last one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(record: ProcessRecord) -> bool:
    return record.boot == boot_id() and start_time(record.pid) == record.start


def spawn(argv: Sequence[str], *, token: str, folder: Path, log: str, timeout: float = 10.0) -> ProcessRecord:
    """Start an exporter. Its output goes to `folder`/`log`; its pid file is left for the record only. The caller has stored `token`
    before. Returns when the program runs; whether it serves is for the caller to see."""
    if not any(token in word for word in argv):
        raise ValueError("an exporter that does not carry its token could not be found again")
    program = find_program(argv[0])
    pid_file = folder / f"{token}.pid"
    with (folder / log).open("ab") as out, open(os.devnull, "rb") as nothing:
        subprocess.run(
            ["setsid", "--fork", "sh", "-c", _LAUNCH, "sh", str(pid_file), program, *argv[1:]],
            stdin=nothing,
            stdout=out,
            stderr=out,
            cwd="/",
            timeout=timeout,
            check=True,
            close_fds=True,
            env={"LC_ALL": "C"} | {name: os.environ[name] for name in _INHERITED if name in os.environ},
        )
    for _ in ticks(timeout):
        if pid_file.exists():
            break
    else:
        sweep(token)
        raise errors.TimedOut(f"{argv[0]} did not start", needed=f"its pid within {timeout:g} s", had="none")
    pid = int(pid_file.read_text(encoding="ascii"))
    pid_file.unlink()
    # A program that ended at once has no start time any more; 0 matches no process, so the record is simply not alive.
    return ProcessRecord(pid=pid, start=start_time(pid) or 0, boot=boot_id(), token=token)


def find(token: str) -> Sequence[ProcessRecord]:
    """Every process that carries the token in its command line (also a launcher that has not become the program yet)."""
    found, boot, wanted = [], boot_id(), token.encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            carries = wanted in (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if carries and (start := start_time(int(entry.name))) is not None:
            found.append(ProcessRecord(pid=int(entry.name), start=start, boot=boot, token=token))
    return found


def sweep(token: str, *, timeout: float = 5.0) -> int:
    """End every process that carries the token; says how many. Looks again until none is left, because a launcher forks."""
    ended = 0
    for _ in ticks(timeout):
        found = find(token)
        if not found:
            return ended
        for record in found:
            kill(record)
            ended += 1
    raise errors.TimedOut(
        "An exporter cannot be ended", needed="no process left", had=f"{len(find(token))} processes"
    )


def terminate(record: ProcessRecord, *, polite: float = 5.0) -> None:
    """Ask it to end (SIGTERM), wait `polite` seconds, then insist. Absent is success."""
    with _held(record) as fd:
        if fd is not None:
            _signal(fd, signal.SIGTERM)
            if _ended(fd, polite):
                return
    kill(record)


def kill(record: ProcessRecord, *, timeout: float = 10.0) -> None:
    """SIGKILL, and wait until it is gone: its sockets, locks and files are free when this returns."""
    with _held(record) as fd:
        if fd is None:
            return
        _signal(fd, signal.SIGKILL)
        if not _ended(fd, timeout):
            raise errors.TimedOut(
                f"Process {record.pid} does not end",
                needed=f"its end within {timeout:g} s of SIGKILL",
                had="a process waiting in the kernel, most likely for storage that does not answer",
            )


def wait(record: ProcessRecord, timeout: float) -> bool:
    """True when it has ended within `timeout` seconds."""
    with _held(record) as fd:
        return fd is None or _ended(fd, timeout)


def ticks(timeout: float, *, first: float = 0.002, most: float = 0.05) -> Iterator[float]:
    """Seconds since the start, each a little later than the last, until `timeout`: for what the kernel gives no event."""
    began, pause = time.monotonic(), first
    while (passed := time.monotonic() - began) < timeout:
        yield passed
        time.sleep(pause)
        pause = min(pause * 1.5, most)


@contextlib.contextmanager
def _held(record: ProcessRecord) -> Iterator[int | None]:
    """A pidfd of exactly this process; None when it is gone."""
    try:
        fd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd if alive(record) else None
    finally:
        os.close(fd)


def _signal(fd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(fd, number)


def _ended(fd: int, timeout: float) -> bool:
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return bool(waiting.poll(timeout * 1000))

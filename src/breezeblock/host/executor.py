# SPDX-License-Identifier: Apache-2.0
"""Runs external programs for everything in this room and above: argument lists, a time limit, LC_ALL=C, a process group of their own.
Must never use a shell, never carry a secret in an argument, and never leave a program running after the call has returned.

A *mover* (qemu-img copying gigabytes) must end with the operation that wants it. `Mover(ctx, record)` says which: the program then runs
under the supervisor of `mover.py`, is killed with its group when `ctx.check()` raises, when `ctx.deadline` passes or when this process
dies, and `record` (a file beside the data) names it, so that a take-over can `end_recorded(record)` before it touches the data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from breezeblock.host import mover as supervisor
from breezeblock.model.call import Context
from breezeblock.model.errors import ProgramFailed, ProgramMissing, TimedOut

#: Debian's package for each program that the product runs (Ubuntu's names are the same).
PACKAGES: Mapping[str, str] = {
    "blkdiscard": "util-linux",
    "blockdev": "util-linux",
    "fusermount3": "fuse3",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mount": "mount",
    "nbd-client": "nbd-client",
    "nbdfuse": "libnbd-bin",
    "nbdinfo": "libnbd-bin",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "tgtadm": "tgt",
    "tgtd": "tgt",
    "umount": "mount",
}

#: Seconds between two looks at a mover's context.
POLL = 0.1
#: Seconds after which the supervisor gives up on an owner that feeds nothing (stopped, swapped out, hung).
GRACE = 30.0
#: Lines of stderr that travel with an error.
STDERR_LINES = 6


class Output(msgspec.Struct, frozen=True):
    """What a program that ended as hoped left behind."""

    code: int
    stdout: bytes
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Mover(msgspec.Struct, frozen=True):
    """A program that moves bytes for an operation. `record` is the file that names its process group while it runs."""

    ctx: Context
    record: Path


def find_program(name: str) -> str:
    """The full path of a program (also in the sbin folders, which a user's PATH lacks); ProgramMissing says what to install."""
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        package = PACKAGES.get(Path(name).name)
        raise ProgramMissing(
            f"The program {name} is not installed",
            needed=name,
            remedy=f"apt-get install {package}" if package else f"Install {name} and put it on the PATH.",
        )
    return path


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    input: bytes | None = None,
    ok: Sequence[int] = (0,),
    mover: Mover | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Output:
    """Run to the end, at most `timeout` seconds. Raises ProgramMissing, ProgramFailed (an exit code not in `ok`), TimedOut, and for a
    mover whatever its `ctx.check()` raises; the program and its children are gone by then."""
    words = [find_program(str(argv[0])), *(str(word) for word in argv[1:])]
    environment = {**os.environ, **(env or {}), "LC_ALL": "C"}
    command, feed = words, -1
    if mover is not None:
        mover.ctx.check()
        mouth, feed = os.pipe()
        # -I and -S: no user site, no environment, nothing imported but what the supervisor names itself.
        command = [
            sys.executable,
            "-I",
            "-S",
            supervisor.__file__,
            str(mover.record),
            str(mouth),
            str(GRACE),
            *words,
        ]
        pass_fds = (*pass_fds, mouth)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=cwd,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except BaseException:
        if feed >= 0:
            os.close(feed)
        raise
    finally:
        if mover is not None:
            os.close(mouth)
    try:
        stdout, stderr = _wait(process, words, started + timeout, input, mover, feed)
    except BaseException:
        _kill_group(process)
        if mover is not None:
            mover.record.unlink(missing_ok=True)
        raise
    finally:
        if feed >= 0:
            os.close(feed)
    seconds = time.monotonic() - started
    complaint = stderr.decode("utf-8", "replace")
    if process.returncode not in ok:
        raise ProgramFailed(
            f"{Path(words[0]).name} ended with exit code {process.returncode}: {last_lines(complaint)}",
            command=" ".join(words),
            exit_code=process.returncode,
            stderr=last_lines(complaint),
        )
    return Output(process.returncode, stdout, complaint, seconds)


def _wait(
    process: subprocess.Popen[bytes],
    words: Sequence[str],
    limit: float,
    input: bytes | None,
    mover: Mover | None,
    feed: int,
) -> tuple[bytes, bytes]:
    """Collect the output; for a mover look at its context ten times a second and feed its supervisor."""
    if mover is not None and mover.ctx.deadline is not None:
        limit = min(limit, mover.ctx.deadline)
    started = time.monotonic()
    while True:
        left = limit - time.monotonic()
        if left <= 0:
            raise TimedOut(
                f"{Path(words[0]).name} did not end in time and was killed",
                needed=f"an end within {limit - started:.1f} s",
                command=" ".join(words),
            )
        try:
            return process.communicate(input, timeout=left if mover is None else min(left, POLL))
        except subprocess.TimeoutExpired:
            input = None  # it is on its way; communicate() takes it once
        if mover is not None:
            mover.ctx.check()
            try:
                os.write(feed, b".")
            except BrokenPipeError:
                pass  # the supervisor has just ended; communicate() will see it


def last_lines(text: str) -> str:
    """The end of a program's complaint, as one line for a message."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-STDERR_LINES:]) or "no output"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The program leads its own group (start_new_session), so that nothing it started survives it. Reaps it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
    wait_for_group_end(process.pid, 5.0)


def end_recorded(record: Path, *, timeout: float = 10.0) -> bool:
    """Kill the process group that a record names, if it still runs; then remove the record. True: there was one to kill. Whoever takes
    work over calls this before touching the data. Raises TimedOut when the group does not die (a hung disk)."""
    try:
        pid_text, started, boot = record.read_text().split()
    except FileNotFoundError:
        return False
    except ValueError:
        record.unlink(missing_ok=True)  # not written by a supervisor: it renames whole records into place
        return False
    pid = int(pid_text)
    ran = boot == supervisor.boot_id() and _start_time(pid) == started
    if ran:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if not wait_for_group_end(pid, timeout):
            raise TimedOut(
                f"Process group {pid} of a mover was killed and does not end",
                needed=f"an end within {timeout} s",
            )
    record.unlink(missing_ok=True)
    return ran


def runs(record: Path) -> bool:
    """Does the process that a record names still run?"""
    try:
        pid, started, boot = record.read_text().split()
    except (FileNotFoundError, ValueError):
        return False
    return boot == supervisor.boot_id() and _start_time(int(pid)) == started


def _start_time(pid: int) -> str | None:
    try:
        return supervisor.start_time(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_for_group_end(group: int, timeout: float) -> bool:
    """Wait until no process of a killed group is left. A zombie whose parent does not reap it (a stopped one) counts as gone: it holds
    no file open any more."""
    limit = time.monotonic() + timeout
    while _members(group):
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def _members(group: int) -> list[int]:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return []
    except PermissionError:
        pass
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
            found.append(int(entry.name))
    return found

# SPDX-License-Identifier: Apache-2.0
"""The few programs that the command runs as the person who called it (mkfs, mount, qemu-img): argument lists, a time limit, LC_ALL=C.
Must never be given a secret to put on a command line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from breezeblock.cli.exits import Ended, refused

#: Where administrators' programs live although an ordinary PATH may not say so.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_PACKAGES = {
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "blkid": "util-linux",
    "mount": "mount",
    "umount": "mount",
}
_PERCENT = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")


def need(program: str) -> str:
    """The program's path. Raises Ended with the package that has it."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")
    if found is None:
        package = _PACKAGES.get(program, program)
        raise refused(
            f"the program {program} is needed and is not installed",
            code="host.program-missing",
            needed=program,
            had="nothing of that name in PATH",
            remedy=f"Install it: sudo apt-get install {package}",
        )
    return found


def environment() -> Mapping[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def run(
    argv: Sequence[str], *, timeout: float, accept: Sequence[int] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Runs to the end. Raises Ended with the program's own last line when it fails."""
    try:
        done = subprocess.run(
            [need(argv[0]), *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        raise refused(
            f"{argv[0]} took too long", code="timed-out", needed="its end", had=f"{timeout:g} s"
        ) from None
    if done.returncode not in accept:
        raise failed(argv[0], done.returncode, done.stderr or done.stdout)
    return done


def run_with_percent(
    argv: Sequence[str], report: Callable[[float], None], *, pass_fds: Sequence[int] = ()
) -> None:
    """Runs a program that prints '(12.34/100%)' as qemu-img -p does. No time limit: bytes take as long as they take, and Ctrl-C ends it."""
    process = subprocess.Popen(
        [need(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        pass_fds=pass_fds,
        # Ctrl-C reaches us alone: we end it, and then give the attachment back.
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        pending = b""
        while chunk := os.read(process.stdout.fileno(), 4096):
            pending = (pending + chunk)[-200:]
            for found in _PERCENT.finditer(pending):
                report(float(found[1]))
        # It writes to stderr only in order to die: the pipe cannot fill up before stdout ends.
        errors = process.stderr.read().decode("utf-8", "replace")
        process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
        process.stderr.close()
    if process.returncode != 0:
        raise failed(argv[0], process.returncode, errors)


def failed(program: str, status: int, output: str) -> Ended:
    # mount ends with advice; the reason is the line before.
    lines = [line.strip() for line in output.splitlines() if line.strip() and "dmesg(1)" not in line]
    return refused(
        f"{program} ended with status {status}: {lines[-1] if lines else 'it said nothing'}",
        code="host.program-failed",
    )

# SPDX-License-Identifier: Apache-2.0
"""The supervisor of one mover, run as a script of its own: `python -I -S mover.py RECORD FEED_FD GRACE PROGRAM ARGUMENT...`. It leads the
mover's process group, writes who it is to RECORD before the mover starts, and kills the group when its owner goes silent. Must never
import anything beyond what a bare interpreter has loaded in a few milliseconds, and never outlive the mover.

The owner holds the other end of FEED_FD and writes a byte while the work may go on. Three ends:
  the mover ends            the record goes, the exit code is passed on (128 + n for signal n)
  the owner dies (EOF)      the whole group is killed at once, however the owner died
  the owner stops feeding   after GRACE seconds the group is killed: a stopped or hung owner has lost its lease by then
A death between two of these lines leaves at most a record of a process that is gone: `executor.end_recorded` compares start times."""

import os
import select
import signal
import sys


def start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat, in clock ticks since boot: with the boot id it names a process for ever."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[19].decode()


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def supervise(record: str, feed: int, grace: float, argv: list[str]) -> int:
    me = os.getpid()
    fresh = f"{record}.{me}"
    with open(fresh, "w") as file:
        file.write(f"{me} {start_time(me)} {boot_id()}\n")
    os.replace(fresh, record)
    os.set_inheritable(feed, False)
    child = os.posix_spawnp(argv[0], argv, os.environ)
    poll = select.poll()
    ended = os.pidfd_open(child)
    poll.register(ended, select.POLLIN)
    poll.register(feed, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll(grace * 1000)]
        if ended in ready:
            break
        if not ready or not os.read(feed, 4096):
            os.unlink(record)
            os.killpg(0, signal.SIGKILL)
    os.unlink(record)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))

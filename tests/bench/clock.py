# SPDX-License-Identifier: Apache-2.0
"""What other processes have used: processor time to the nanosecond, resident memory, and which processes a database server has. Reads
the kernel only; must never change or start anything."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
#: the kernel's MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED): a process' clock as a clock id.
_SCHEDULED = 2


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, without its children."""
    return time.clock_gettime((~pid << 3) | _SCHEDULED)


def children_seconds(pid: int) -> float:
    """User and system time of the children that a process has waited for, in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICK


def family(pid: int) -> list[int]:
    """A process and its children (a PostgreSQL server with its backends)."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    Path(entry.path, "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:  # it has ended meanwhile
                continue
    return [pid, *(child for child, parent in parents.items() if parent == pid)]


def by_process(pids: Iterable[int]) -> dict[int, float]:
    """Processor seconds of each that still lives."""
    found = {}
    for pid in pids:
        try:
            found[pid] = cpu_seconds(pid)
        except OSError:
            continue
    return found


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    """Seconds between two looks; a process that came meanwhile counts whole, one that went is missing."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def resident_mib(pid: int) -> float:
    """Resident memory, as the kernel tells it (RSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"no VmRSS of process {pid}")

# SPDX-License-Identifier: Apache-2.0
"""`./dev bench`: every measurement beside its floor, on SQLite and on servers of our own. Tells which targets are met and which are not,
and always ends with 0 when it could measure: a busy machine is no defect. docs/BENCHMARKS.md says how to read the table."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.bench import floor, jobs, peer, starting
from tests.bench.jobs import QUICK, Place, Plan
from tests.bench.table import Row, render
from tests.lab import databases
from tests.lab.presence import missing

JOBS: dict[str, Callable[[Place, Plan], list[Row]]] = {
    "reading": jobs.reading,
    "accepting": jobs.accepting,
    "burst": jobs.burst,
    "paging": jobs.paging,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and rows: minutes become seconds, noise grows"
    )
    parser.add_argument(
        "--database",
        action="append",
        choices=("sqlite", "postgresql", "mariadb"),
        help="default: sqlite, postgresql",
    )
    parser.add_argument("--only", action="append", choices=(*JOBS, "starting"), help="some measurements")
    parser.add_argument(
        "--rounds", type=int, default=0, help="turns of each measurement with its floor (medians are shown)"
    )
    parser.add_argument("--markdown", action="store_true", help="tables for docs/BENCHMARKS.md")
    wanted = parser.parse_args(arguments)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(1)
    )  # services and servers that run end with their contexts
    plan = QUICK if wanted.quick else Plan()
    if wanted.rounds:
        plan = Plan(**{**{f: getattr(plan, f) for f in plan.__struct_fields__}, "rounds": wanted.rounds})
    chosen = wanted.only or [*JOBS, "starting"]
    _say(f"{_machine()}; {plan.rounds} rounds; peer: {peer.NOTE}", wanted.markdown)
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        if "starting" in chosen:
            missed += _show(
                "Start, memory, command (SQLite)", starting.starting(folder, plan), wanted.markdown
            )
        for name in wanted.database or ("sqlite", "postgresql"):
            if name != "sqlite" and (reason := missing(name)):
                _say(f"{name}: {reason}", wanted.markdown)
                continue
            found: list[Row] = []
            with _place(name, folder) as place:
                for job in JOBS:
                    if job in chosen:
                        print(f"{name}: {job}", file=sys.stderr, flush=True)
                        found += JOBS[job](place, plan)
            missed += _show(
                {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}[name],
                found,
                wanted.markdown,
            )
    _say(f"targets missed: {'; '.join(missed) if missed else 'none'}", wanted.markdown)
    return 0


def _show(title: str, rows: list[Row], markdown: bool) -> list[str]:
    print(render(title, rows, markdown=markdown), flush=True)
    return [f"{title}: {row.job.strip()}" for row in rows if row.met is False]


def _say(text: str, markdown: bool) -> None:
    print(f"{text}\n", file=sys.stdout if markdown else sys.stderr, flush=True)


def _reference() -> float:
    """Milliseconds of processor time for a fixed piece of Python: what the neighbours leave of a core, to compare runs by."""
    with floor.pinned():
        spent = []
        for _ in range(9):
            before = time.process_time()
            table = {str(n): n for n in range(20_000)}
            assert sum(table[str(n)] for n in range(20_000)) == 199_990_000
            spent.append((time.process_time() - before) * 1e3)
    return sorted(spent)[len(spent) // 2]


def _machine() -> str:
    """The kind of machine, without a name or a path."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "?",
    )
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d')}, {len(os.sched_getaffinity(0))} cores ({model}), Linux {platform.release()}, "
        f"Python {platform.python_version()}, load of others {load:.1f}, reference loop {_reference():.1f} ms"
    )


@contextlib.contextmanager
def _place(name: str, folder: Path) -> Iterator[Place]:
    home = folder / name
    home.mkdir()
    if name == "sqlite":
        yield Place(folder=home, fresh=lambda _: contextlib.nullcontext(""))
        return
    numbers = itertools.count(1)
    lab = databases.postgresql if name == "postgresql" else databases.mariadb
    with lab() as url:
        yield Place(
            folder=home,
            fresh=lambda job: databases.fresh_database(url, re.sub(r"\W", "", job) + str(next(numbers))),
            server=_server_pid(url),
        )


def _server_pid(url: str) -> int:
    query = make_url(url).query
    if "host" in query:
        return int((Path(str(query["host"])) / "data" / "postmaster.pid").read_text().split()[0])
    return int((Path(str(query["unix_socket"])).parent / "pid").read_text())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""Runs the test suites one after another and tells how they went: a table of minutes, every skip with its reason, what a
suite left behind, and one closing line that sums them all. It decides nothing about a test; it fails a run that leaves
something behind and, in CI, one that skips for a reason that tests/allowed_skips.txt does not allow."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tools.dev import leftovers

CHECKOUT = Path(__file__).resolve().parents[2]
TESTS = CHECKOUT / "tests"

#: Folders that are a suite of their own, in this order; every other folder of tests/ is a room and belongs to the first two.
SUITES = ("lab", "conformance", "stateful", "faults", "crash", "compat")

#: A whole run that takes longer is stopped: a test hangs, and nothing after it would be told.
DEADLINE_SECONDS = float(os.environ.get("DEV_TEST_SECONDS", "4500"))
FAST = ["-m", "not slow and not lab"]
QUICK = [*FAST, "--hypothesis-profile=quick"]


class Suite(NamedTuple):
    name: str
    arguments: list[str]


class Tally(NamedTuple):
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: tuple[str, ...] = ()

    def __add__(self, other: object) -> Tally:
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.reasons + other.reasons,
        )


def folders() -> list[str]:
    return sorted(path.name for path in TESTS.iterdir() if path.is_dir() and any(path.rglob("test_*.py")))


def suites(arguments: list[str]) -> list[Suite]:
    """`--quick`: two halves, which run side by side. A path among the arguments: just that. Else everything."""
    quick = "--quick" in arguments
    rest = [one for one in arguments if one != "--quick"]
    if any((CHECKOUT / one.split("::")[0]).exists() for one in rest if not one.startswith("-")):
        return [Suite("chosen", [*QUICK, *rest] if quick else rest)]
    rooms = [f"tests/{name}" for name in folders() if name not in SUITES]
    if quick:
        return [
            Suite(f"quick, {side}", [*QUICK, *half, *rest])
            for side, half in zip(("left", "right"), halves(rooms), strict=True)
        ]
    plan = [
        Suite("units", [*FAST, *rooms, *rest]),
        Suite("units, slow and on servers", ["-m", "slow or lab", *rooms, *rest]),
    ]
    return plan + [Suite(name, [f"tests/{name}", *rest]) for name in SUITES if name in folders()]


def halves(rooms: Sequence[str]) -> tuple[list[str], list[str]]:
    """Two lists of about the same weight; the length of its tests tells how long a room takes, roughly."""
    weights = {
        room: sum(path.stat().st_size for path in (CHECKOUT / room).rglob("test_*.py")) for room in rooms
    }
    left, right = list[str](), list[str]()
    for room in sorted(rooms, key=lambda one: -weights[one]):
        lighter = min((left, right), key=lambda side: sum(weights[one] for one in side))
        lighter.append(room)
    return left, right


def tally(report: Path) -> Tally:
    if not report.exists():
        return Tally(failed=1)
    passed = failed = skipped = 0
    reasons = []
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
            element = case.find("skipped")
            reasons.append((element.get("message") if element is not None else None) or "no reason given")
        else:
            passed += 1
    return Tally(passed, failed, skipped, tuple(reasons))


def run(suite: Suite, number: int, place: Path, deadline: float, *, aside: bool = False) -> Tally:
    """`aside`: what it prints is kept until its end, because another one runs beside it."""
    # Temporary folders have short names: a unix socket's path is at most 107 bytes.
    report = place / f"{number}.xml"
    command = [sys.executable, "-m", "pytest", "--no-header", "-q", f"--junitxml={report}"]
    command += [f"--basetemp={place / str(number)}", *suite.arguments]
    environment = os.environ | {"TMPDIR": str(place), leftovers.RUN_MARK: f"{CHECKOUT}:{place.name}"}
    print(f"\n=== {suite.name}", flush=True)
    said = (place / f"{number}.out").open("w+b") if aside else None
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=said, stderr=subprocess.STDOUT if aside else None
    )
    try:
        code = process.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        print(f"stopped: the run took more than {DEADLINE_SECONDS / 60:.0f} minutes", flush=True)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        return tally(report) + Tally(failed=1)
    except KeyboardInterrupt:
        process.wait(60)
        raise
    if said is not None:
        said.seek(0)
        print(f"\n--- {suite.name}\n{said.read().decode(errors='replace')}", flush=True)
    counted = tally(report)
    if code not in (0, 5) and not counted.failed:  # 5: nothing was selected
        return counted + Tally(failed=1)
    return counted


def together(
    round: Sequence[Suite], first: int, place: Path, deadline: float
) -> list[tuple[Suite, Tally, float]]:
    """Run suites side by side, each told whole when it has ended. Returns (suite, tally, seconds)."""

    def timed(number: int, suite: Suite) -> tuple[Suite, Tally, float]:
        started = time.monotonic()
        counted = run(suite, number, place, deadline, aside=len(round) > 1)
        return suite, counted, time.monotonic() - started

    with ThreadPoolExecutor(len(round)) as runners:
        running = [runners.submit(timed, first + n, suite) for n, suite in enumerate(round)]
        return [one.result() for one in running]


def allowed_reasons() -> list[str]:
    lines = (TESTS / "allowed_skips.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def tell_skips(reasons: Sequence[str]) -> int:
    """How many skips CI does not accept."""
    refused = 0
    allowed = allowed_reasons()
    for reason, times in Counter(reasons).most_common():
        known = any(re.search(pattern, reason) for pattern in allowed)
        refused += 0 if known else times
        print(f"  skipped {times}: {reason}{'' if known else '   (not in tests/allowed_skips.txt)'}")
    return refused if os.environ.get("CI") == "true" else 0


@contextlib.contextmanager
def run_place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix=leftovers.run_prefix(CHECKOUT)))
    place.chmod(0o755)  # the database servers run as users of their own
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def tell_leftovers(name: str, place: Path) -> int:
    found = leftovers.settle(str(place), f"{leftovers.RUN_MARK}={CHECKOUT}:{place.name}")
    for one in found:
        print(f"LEFT BEHIND by {name}: {one.kind} {one.name}: {one.text}", flush=True)
    leftovers.end(found)
    return len(found)


def untracked() -> set[str]:
    if os.environ.get("CI") != "true" or not shutil.which("git"):
        return set()  # by hand, somebody may be editing while the tests run
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    return set(done.stdout.splitlines())


def main(arguments: list[str]) -> int:
    deadline = time.monotonic() + DEADLINE_SECONDS
    total, left, table = Tally(), 0, []
    before = untracked()
    plan = suites(arguments)
    rounds = [plan] if "--quick" in arguments else [[suite] for suite in plan]
    number = 0
    with run_place() as place:
        try:
            for round in rounds:
                for suite, counted, seconds in together(round, number, place, deadline):
                    table.append((suite.name, counted, seconds))
                    total += counted
                left += tell_leftovers(" and ".join(suite.name for suite in round), place)
                number += len(round)
                if time.monotonic() > deadline:
                    break
        except KeyboardInterrupt:
            tell_leftovers("the interrupted suite", place)
            return 130
    written = untracked() - before
    for line in sorted(written):
        print(f"LEFT BEHIND in the checkout: {line}")
    print(f"\n{'suite':<30}{'passed':>8}{'failed':>8}{'skipped':>8}{'minutes':>9}")
    for name, counted, seconds in table:
        print(f"{name:<30}{counted.passed:>8}{counted.failed:>8}{counted.skipped:>8}{seconds / 60:>9.1f}")
    refused = tell_skips(total.reasons)
    if refused:
        print(f"  {refused} skips are not allowed in CI")
    failures = total.failed + left + len(written) + refused
    if not total.passed and not failures:
        print("no test ran")
        failures = 1
    print(f"{total.passed} passed, {failures} failed, {total.skipped} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: Apache-2.0
"""`python -m breezeblock.demo`: runs the steps, prints the table, and keeps serving until Ctrl-C (or ends, with --exit)."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from breezeblock.demo.life import Life
from breezeblock.demo.report import Report
from breezeblock.demo.steps import STEPS


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="breezeblock.demo",
        description="A volume's whole life on real bytes, with every copy verified by checksum.",
    )
    parser.add_argument(
        "--exit", action="store_true", help="end when done instead of serving on: 0, or 1 with the reason"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave folders, volumes and attachments as they are at the end"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the service's data folder; else a temporary one"
    )
    parser.add_argument(
        "--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="else a free port of this machine"
    )
    options = parser.parse_args(argv)

    # Whoever ends us politely, or closes the terminal, gets the same tidying as Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _interrupt)
    report = Report()
    life = Life(report, data=options.data.absolute() if options.data else None, listen=options.listen)
    status = 1
    try:
        report.say(f"Breezeblock, {life.content.way}\n")
        if life.run(STEPS):
            report.table()
            status = 0
            if not options.exit:
                _serve_on(life, report)
    except KeyboardInterrupt:
        report.say("\ninterrupted: tidying up")
        status = status and 130
    finally:
        status = _end(life, report, status, keep=options.keep)
    return status


def _serve_on(life: Life, report: Report) -> None:
    report.say(f"\nThe service goes on at {life.instance.endpoint} until Ctrl-C. In another terminal:")
    report.say(f"    export BREEZEBLOCK_DATA={life.instance.data}")
    report.say(f"    {Path(sys.executable).with_name('breezeblock')} status")
    threading.Event().wait()


def _end(life: Life, report: Report, status: int, *, keep: bool) -> int:
    # A second Ctrl-C must not stop the tidying half-way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = life.tidy(keep=keep)
    if keep:
        report.say(
            f"\nkept: {life.folder}"
            + (f" and {life.instance.data}" if life.instance.data.parent != life.folder else "")
        )
    if left:
        report.say("\nleft behind: " + ", ".join(left))
        return status or 1
    return status


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

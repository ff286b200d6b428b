# SPDX-License-Identifier: Apache-2.0
"""From the command line to an exit code: parses, imports the one action that is meant, runs it, and says in one sentence why it did not
work. Must never let an expected failure end in a traceback, nor hide an unexpected one."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from breezeblock.cli.exits import INTERRUPTED, OK, REFUSED, Ended, usage
from breezeblock.cli.parser import build

_SESSION = ("endpoint", "token", "project", "as_json", "wait", "timeout", "quiet")


def run(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    # Known before parsing: a usage error, too, answers in JSON when JSON is wanted.
    as_json = "--json" in words
    try:
        with _ended_in_order():
            return _run(words)
    except Ended as why:
        return _tell(why, as_json)
    except KeyboardInterrupt:
        print("breezeblock: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (head, less): nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM and a closed terminal end a command as Ctrl-C does: an import that just vanished would leave its volume attached. What
    is ignored (nohup) stays so, and the second of two signals does not disturb the giving back."""

    def end(number: int, frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        raise SystemExit(128 + number)

    asked = (signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    before = {one: signal.SIG_DFL for one in asked if signal.getsignal(one) is signal.SIG_DFL}
    for one in before:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _run(words: list[str]) -> int:
    _refuse_other_bytes(words)
    parser = build()
    options = vars(parser.parse_args(words))
    options.pop("command", None)
    options.pop("verb", None)
    if options.pop("version"):
        from breezeblock import __version__

        print(f"breezeblock {__version__}")
        return OK
    action = options.pop("action", None)
    if action is None:
        parser.print_help()
        return OK
    module, function = action.split(":")
    do = getattr(importlib.import_module(f"breezeblock.cli.actions.{module}"), function)
    from breezeblock.cli.session import Session

    session = Session(**{key: options.pop(key) for key in _SESSION if key in options})
    try:
        status = do(session, **options)
    finally:
        session.close()
    return OK if status is None else int(status)


def _refuse_other_bytes(words: list[str]) -> None:
    """What is not UTF-8 can stand in no request, no answer and no document, names of files included."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise usage(
                "the command line is not UTF-8", needed="UTF-8", had=ascii(os.fsencode(word))
            ) from None


def _tell(why: Ended, as_json: bool) -> int:
    if as_json:
        print(json.dumps(why.document(), indent=2, ensure_ascii=False))
    sentence = str(why)
    if why.operation and why.operation not in sentence:
        sentence += f" (operation {why.operation})"
    print(f"breezeblock: {sentence}", file=sys.stderr)
    return why.status or REFUSED

# SPDX-License-Identifier: Apache-2.0
"""Candidates for the word being typed: read from the parsers themselves, and the names of volumes, snapshots and types from the service
when one answers at once. Must never fail loudly or make Tab wait."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

from breezeblock.cli.client import Client
from breezeblock.cli.exits import Ended
from breezeblock.cli.names import SNAPSHOT, TYPE, VOLUME
from breezeblock.cli.parser import build
from breezeblock.cli.parser.words import Words
from breezeblock.cli.session import Session

#: A name that no shell reads as more than a word. Any other would stand unquoted on the command line, and another's volume may be
#: called "web;reboot": its id is offered instead.
_SAFE = re.compile(r"\w[\w.@:,+/-]*")
#: Seconds that a Tab may take for names.
PATIENCE = 0.5
_PLURALS = {VOLUME: "volumes", SNAPSHOT: "snapshots", TYPE: "types"}
#: Which arguments take a name of what.
_NAMED = {
    "volume": VOLUME, "volumes": VOLUME, "from_volume": VOLUME, "what": VOLUME, "ident": VOLUME, "resource": VOLUME,
    "snapshot": SNAPSHOT, "snapshots": SNAPSHOT, "from_snapshot": SNAPSHOT,
    "volume_type": TYPE, "types": TYPE,
}  # fmt: skip


def candidates(session: Session, words: Sequence[str]) -> list[str]:
    """`words` are those after the command's own name, the last being typed (perhaps empty)."""
    done, typed = words[:-1], words[-1] if words else ""
    parser, positionals, previous = _walk(build(), done)
    if previous is not None and previous.nargs is None:
        found = _values(session, previous)
    elif typed.startswith("-"):
        found = [
            option
            for action in parser._actions
            for option in action.option_strings
            if option.startswith("--")
        ]
    else:
        slots = [action for action in parser._actions if not action.option_strings]
        if not slots:
            return []
        slot = slots[min(positionals, len(slots) - 1)]
        if positionals >= len(slots) and slot.nargs not in ("+", "*"):
            return []
        found = _values(session, slot)
    return sorted(word for word in found if word.startswith(typed))


def _walk(parser: Words, done: Sequence[str]) -> tuple[Words, int, argparse.Action | None]:
    """The parser that the words lead to, how many of its positionals are given, and the option that waits for its value."""
    positionals, previous = 0, None
    for word in done:
        if previous is not None and previous.nargs is None:
            previous = None
            continue
        previous = None
        below = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
        if word.startswith("-"):
            previous = parser._option_string_actions.get(word)
            if previous is not None and previous.nargs == 0:
                previous = None
        elif below is not None and word in below.choices:
            parser, positionals = below.choices[word], 0
        else:
            positionals += 1
    return parser, positionals, previous


def _values(session: Session, action: argparse.Action) -> list[str]:
    if isinstance(action, argparse._SubParsersAction):
        return [choice.dest for choice in action._choices_actions]
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    noun = _NAMED.get(action.dest)
    return [] if noun is None else list(_names(session, noun))


def _names(session: Session, noun: str) -> Iterator[str]:
    try:
        client: Client = session.client
        client.timeout = PATIENCE
        path = f"/{_PLURALS[noun]}"
        collection = "volume_types" if noun == TYPE else _PLURALS[noun]
        for item in client.get(path, limit=200)[collection]:
            name = str(item.get("name") or item["id"])
            yield name if _SAFE.fullmatch(name) else str(item["id"])
    except (Ended, KeyError, TypeError):
        return

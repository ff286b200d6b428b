# SPDX-License-Identifier: Apache-2.0
"""The parts that spellings are made of: a parser whose errors are one sentence with a suggestion, and the options that many commands
share. Each leaf names its action as "module:function"; main imports it when, and only when, it runs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from breezeblock.cli.exits import Ended, usage
from breezeblock.cli.sizes import gib

Nouns = argparse._SubParsersAction  # the type of "where commands are added"


class Words(argparse.ArgumentParser):
    """No abbreviations (a script that uses one breaks with the next option), one-sentence errors."""

    def __init__(self, **more: Any) -> None:
        more.setdefault("allow_abbrev", False)
        more.setdefault("formatter_class", _Narrow)
        super().__init__(**more)
        #: The next level, for parsers that have one.
        self.verbs: Any = None

    def error(self, message: str) -> NoReturn:
        raise usage(_sentence(message), remedy=f"See '{self.prog} --help'.")

    def group(self, **more: Any) -> Any:
        self.verbs = self.add_subparsers(
            metavar="VERB", dest="verb", required=True, parser_class=Words, title="verbs", **more
        )
        return self.verbs


class _Narrow(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=100)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        # argparse forgets that commands are indented once more, and would break the line after the longest.
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length += 2


def noun(nouns: Any, name: str, help: str) -> Any:
    """A noun and the place for its verbs."""
    parser: Words = nouns.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    return parser.group()


def leaf(verbs: Any, name: str, action: str, help: str, *, talks: bool = True, waits: bool = False) -> Words:
    """A command. `talks` to the service; `waits` for an operation."""
    parser: Words = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(action=action)
    if waits:
        wait = parser.add_argument_group("waiting")
        wait.add_argument(
            "--no-wait",
            dest="wait",
            action="store_false",
            help="return as soon as the service has accepted it",
        )
        wait.add_argument(
            "--timeout", type=_seconds, metavar="SECONDS", help="stop waiting then (exit 4); the work goes on"
        )
    out = parser.add_argument_group("output")
    out.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="one JSON document on stdout, and nothing else there",
    )
    out.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    if talks:
        service = parser.add_argument_group("service")
        service.add_argument(
            "--endpoint", default="", metavar="URL", help="or BREEZEBLOCK_ENDPOINT; else the local service"
        )
        service.add_argument(
            "--token", default="", metavar="TOKEN", help="or BREEZEBLOCK_TOKEN, which other users cannot see"
        )
        service.add_argument(
            "--project", default="", metavar="ID", help="or BREEZEBLOCK_PROJECT; else the token's"
        )
    return parser


# Options that nouns share ------------------------------------------------------------------------


def add_texts(parser: Words) -> None:
    parser.add_argument("--name", help="the new name")
    parser.add_argument("--description", metavar="TEXT", help="the new description")


def add_properties(parser: Words, help: str = "may be given several times") -> None:
    parser.add_argument(
        "--property", dest="properties", action=_Pairs, default={}, metavar="KEY=VALUE", help=help
    )


def add_unset(parser: Words) -> None:
    parser.add_argument(
        "--unset", action="append", default=[], metavar="KEY", help="remove a property; several times"
    )


def add_list(parser: Words, *, projects: bool = True) -> None:
    parser.add_argument("--limit", type=_count, metavar="N", help="at most so many")
    if projects:
        parser.add_argument(
            "--all-projects", action="store_true", help="those of every project (administrators)"
        )


class _Pairs(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        key, equals, value = str(values).partition("=")
        if not equals or not key:
            parser.error(f"argument {option}: '{values}' is not KEY=VALUE")
        found: Mapping[str, str] = getattr(namespace, self.dest)
        setattr(namespace, self.dest, {**found, key: value})


def size(text: str) -> int:
    try:
        return gib(text)
    except Ended as why:
        raise argparse.ArgumentTypeError(str(why)) from None


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; needed seconds, such as 90, 90s or 5m")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, None: 1}[found[2]]


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 1")
    return int(text)


def _sentence(message: str) -> str:
    """argparse's message, with the nearest word where a word was wrong."""
    message = message.removeprefix("argument COMMAND: ").removeprefix("argument VERB: ")
    found = re.match(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
    if found is None:
        return message
    import difflib

    words = re.findall(r"[\w.-]+", found[2])
    near = difflib.get_close_matches(found[1], words, 1)
    return f"there is no '{found[1]}'" + (
        f"; did you mean '{near[0]}'?" if near else f"; there is {', '.join(words)}"
    )

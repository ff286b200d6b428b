# SPDX-License-Identifier: Apache-2.0
"""How each command is spelled: one file per noun, the same names as in cli/actions. Imports argparse and nothing of what commands do, so
that --help costs no more than reading this (see docs/CLI.md for what was measured)."""

from __future__ import annotations

import argparse

from breezeblock.cli.parser import (
    attachment,
    brick,
    completion,
    image,
    operation,
    service,
    snapshot,
    type,
    volume,
)
from breezeblock.cli.parser.words import Words


def build() -> Words:
    """The whole command."""
    top = Words(
        prog="breezeblock",
        description="Block storage as a service: volumes, snapshots, and devices of this host.",
        epilog="Every command answers --help. Exit: 0 ok, 1 refused or failed, 2 usage, 3 service unreachable, 4 --timeout.",
    )
    top.add_argument("--version", action="store_true", help="print the version and end")
    nouns = top.add_subparsers(metavar="COMMAND", dest="command", parser_class=Words, title="commands")
    for room in (service, volume, snapshot, type, attachment, operation, brick, completion):
        room.add(nouns)
    volumes: argparse._SubParsersAction[Words] = nouns.choices["volume"].verbs
    image.add(volumes)
    return top

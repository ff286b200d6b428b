# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock operation ...` and `breezeblock explain` are spelled."""

from __future__ import annotations

from typing import Any

from breezeblock.cli.parser.words import leaf, noun

STATES = ["ready", "blocked", "running", "waiting", "undoing", "succeeded", "failed", "cancelled"]


def add(nouns: Any) -> None:
    verbs = noun(nouns, "operation", "operations: list, show (the timeline), cancel")

    listing = leaf(verbs, "list", "operation:list_all", "list operations, newest first")
    listing.add_argument("--resource", metavar="ID|NAME", help="those of a volume or snapshot")
    listing.add_argument("--state", choices=STATES, metavar="STATE", help=", ".join(STATES))
    listing.add_argument("--kind", help="for example volume.create")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")

    show = leaf(verbs, "show", "operation:show", "show an operation's timeline")
    show.add_argument(
        "operation", metavar="ID|NAME", help="an operation; or a volume or snapshot by name: its last one"
    )
    show.add_argument("--follow", action="store_true", help="until it has ended")
    show.set_defaults(timeout=None)

    cancel = leaf(
        verbs, "cancel", "operation:cancel", "cancel an operation: what it has done is undone", waits=True
    )
    cancel.add_argument("operation", metavar="ID")

    explain = leaf(
        nouns,
        "explain",
        "operation:explain",
        "say why something is as it is: who holds it, where it was placed",
    )
    explain.add_argument(
        "ident",
        metavar="ID",
        help="a volume, snapshot, attachment or operation; names of volumes and snapshots too",
    )

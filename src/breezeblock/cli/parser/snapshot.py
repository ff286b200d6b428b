# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock snapshot ...` is spelled."""

from __future__ import annotations

from typing import Any

from breezeblock.cli.parser.words import add_list, add_properties, add_texts, add_unset, leaf, noun


def add(nouns: Any) -> None:
    verbs = noun(nouns, "snapshot", "snapshots: create, list, show, set, delete (going back: volume revert)")

    create = leaf(verbs, "create", "snapshot:create", "keep a volume's bytes as they are now", waits=True)
    create.add_argument("volume", metavar="VOLUME")
    create.add_argument("--name")
    create.add_argument("--description", metavar="TEXT")
    add_properties(create)

    listing = leaf(verbs, "list", "snapshot:list_all", "list snapshots")
    listing.add_argument("--volume", help="those of a volume")
    listing.add_argument("--name", help="those of this name")
    listing.add_argument("--status", help="those in this status")
    add_list(listing)

    leaf(verbs, "show", "snapshot:show", "show a snapshot").add_argument("snapshot", metavar="SNAPSHOT")

    change = leaf(verbs, "set", "snapshot:change", "change what is said about a snapshot")
    change.add_argument("snapshot", metavar="SNAPSHOT")
    add_texts(change)
    add_properties(change)
    add_unset(change)
    change.add_argument("--status", help="reset the status (administrators)")

    delete = leaf(verbs, "delete", "snapshot:delete", "delete snapshots", waits=True)
    delete.add_argument("snapshots", metavar="SNAPSHOT", nargs="+")
    delete.add_argument("--force", action="store_true", help="whatever their status is (administrators)")

# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock volume ...` is spelled; import and export are in image."""

from __future__ import annotations

from typing import Any

from breezeblock.cli.parser.words import add_list, add_properties, add_texts, add_unset, leaf, noun, size


def add(nouns: Any) -> None:
    verbs = noun(nouns, "volume", "volumes: create, list, show, set, extend, revert, delete, import, export")

    create = leaf(verbs, "create", "volume:create", "create a volume", waits=True)
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "size",
        metavar="SIZE",
        nargs="?",
        type=size,
        help="GiB: 10, 10G, 10GiB or 1T; from a source: its size",
    )
    source = create.add_mutually_exclusive_group()
    source.add_argument("--from-snapshot", metavar="SNAPSHOT", help="with the bytes of a snapshot")
    source.add_argument(
        "--from-volume", metavar="VOLUME", help="a clone: with the bytes that a volume has now"
    )
    create.add_argument("--type", dest="volume_type", metavar="TYPE", help="a volume type, by name or id")
    create.add_argument("--description", metavar="TEXT")
    create.add_argument("--zone", help="an availability zone")
    add_properties(create)

    listing = leaf(verbs, "list", "volume:list_all", "list volumes")
    listing.add_argument("--name", help="those of this name")
    listing.add_argument("--status", help="those in this status")
    listing.add_argument("--sort", metavar="KEY[:asc|desc]", help="for example name:asc or size:desc")
    add_properties(listing, "those with this property")
    add_list(listing)

    leaf(verbs, "show", "volume:show", "show a volume").add_argument("volume", metavar="VOLUME")

    change = leaf(verbs, "set", "volume:change", "change what is said about a volume")
    change.add_argument("volume", metavar="VOLUME")
    add_texts(change)
    add_properties(change)
    add_unset(change)
    boot = change.add_mutually_exclusive_group()
    boot.add_argument("--bootable", action="store_true", default=None)
    boot.add_argument("--not-bootable", dest="bootable", action="store_false", default=None)
    write = change.add_mutually_exclusive_group()
    write.add_argument(
        "--read-only", action="store_true", default=None, help="attachments cannot write from now on"
    )
    write.add_argument("--read-write", dest="read_only", action="store_false", default=None)
    change.add_argument("--status", help="reset the status (administrators; says nothing about the bytes)")

    extend = leaf(verbs, "extend", "volume:extend", "make a volume larger", waits=True)
    extend.add_argument("volume", metavar="VOLUME")
    extend.add_argument("size", metavar="SIZE", type=size, help="the new size: 20, 20G or 1T")

    revert = leaf(verbs, "revert", "volume:revert", "put a volume back to its latest snapshot", waits=True)
    revert.add_argument("volume", metavar="VOLUME")
    revert.add_argument("snapshot", metavar="SNAPSHOT")

    delete = leaf(verbs, "delete", "volume:delete", "delete volumes", waits=True)
    delete.add_argument("volumes", metavar="VOLUME", nargs="+")
    delete.add_argument("--cascade", action="store_true", help="with their snapshots")
    delete.add_argument("--force", action="store_true", help="whatever their status is (administrators)")

# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock type ...` is spelled."""

from __future__ import annotations

from typing import Any

from breezeblock.cli.parser.words import add_properties, add_texts, add_unset, leaf, noun


def add(nouns: Any) -> None:
    verbs = noun(nouns, "type", "volume types: create, list, show, set, delete")

    create = leaf(verbs, "create", "type:create", "create a volume type")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--description", metavar="TEXT")
    create.add_argument("--private", action="store_true", help="only for projects that are given access")
    add_properties(create, "an extra spec, for example volume_backend_name=fast; several times")

    leaf(verbs, "list", "type:list_all", "list volume types")

    leaf(verbs, "show", "type:show", "show a volume type").add_argument(
        "volume_type", metavar="TYPE", help="or 'default'"
    )

    change = leaf(verbs, "set", "type:change", "change a volume type")
    change.add_argument("volume_type", metavar="TYPE")
    add_texts(change)
    add_properties(change)
    add_unset(change)

    leaf(verbs, "delete", "type:delete", "delete volume types").add_argument(
        "types", metavar="TYPE", nargs="+"
    )

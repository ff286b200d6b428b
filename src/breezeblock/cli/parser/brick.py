# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock brick ...` is spelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from breezeblock.cli.parser.words import leaf, noun, size


def add(nouns: Any) -> None:
    verbs = noun(nouns, "brick", "connect volumes to this host by their connection info, without a service")
    for name, help in (
        ("connect", "make the device and print its path"),
        ("disconnect", "flush the device and take it away"),
        ("extend", "see the new size of a volume that has grown"),
    ):
        verb = leaf(verbs, name, f"brick:{name}", help, talks=False)
        verb.add_argument(
            "info",
            metavar="FILE",
            nargs="?",
            default="-",
            help="the connection_info as JSON; - or nothing: stdin",
        )
        verb.add_argument(
            "--state", type=Path, metavar="DIR", help="what is connected; else /run/breezeblock/brick"
        )
        verb.add_argument(
            "--certificates", type=Path, metavar="DIR", help="for NBD over TLS: ca-cert.pem, client-*.pem"
        )
        if name == "connect":
            verb.add_argument("--size", type=size, help="refuse a device of another size, in GiB")
        if name == "disconnect":
            verb.add_argument("--force", action="store_true", help="even when it is open: writes may be lost")

# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock attach` and `detach` are spelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from breezeblock.cli.parser.words import leaf


def add(nouns: Any) -> None:
    attach = leaf(
        nouns,
        "attach",
        "attachment:attach",
        "attach a volume to the service's host and print the device",
        waits=True,
    )
    attach.add_argument("volume", metavar="VOLUME")
    attach.add_argument("--ro", dest="read_only", action="store_true", help="read-only")
    attach.add_argument(
        "--mkfs", choices=["ext4", "xfs"], help="make a file system, if the volume is empty (root)"
    )
    attach.add_argument("--mount", type=Path, metavar="DIR", help="mount it there (root)")

    detach = leaf(nouns, "detach", "attachment:detach", "detach a volume", waits=True)
    detach.add_argument("what", metavar="VOLUME|ATTACHMENT")
    detach.add_argument("--unmount", action="store_true", help="unmount it first (root)")
    detach.add_argument(
        "--force", action="store_true", help="even when somebody holds it open: their writes may be lost"
    )

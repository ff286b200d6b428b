# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock volume import` and `export` are spelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from breezeblock.cli.parser.words import leaf, size


def add(verbs: Any) -> None:
    bring = leaf(verbs, "import", "image:import_file", "make a volume from a raw or qcow2 file", waits=True)
    bring.add_argument("path", metavar="FILE", type=Path)
    bring.add_argument("--name", help="the volume's name; else the file's")
    bring.add_argument("--size", type=size, help="larger than the image, if wanted")
    bring.add_argument(
        "--format", choices=["raw", "qcow2"], help="raw: take the bytes as they are; else the header says it"
    )
    bring.add_argument("--type", dest="volume_type", metavar="TYPE")
    bring.add_argument("--bootable", action="store_true")

    take = leaf(verbs, "export", "image:export_file", "write a volume into a file", waits=True)
    take.add_argument("volume", metavar="VOLUME")
    take.add_argument("path", metavar="FILE", type=Path, help="must not exist")
    take.add_argument(
        "--format", choices=["raw", "qcow2"], help="else qcow2 for FILE.qcow2, raw for any other name"
    )

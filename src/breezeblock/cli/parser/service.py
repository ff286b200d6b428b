# SPDX-License-Identifier: Apache-2.0
"""How `breezeblock serve`, `status`, `service list` and `pool list` are spelled."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from breezeblock.cli.parser.words import leaf, noun


def add(nouns: Any) -> None:
    serve = leaf(nouns, "serve", "service:serve", "run the service until Ctrl-C or SIGTERM", talks=False)
    serve.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a TOML file; without one: SQLite and a folder, for one machine",
    )
    serve.add_argument("--listen", metavar="HOST:PORT", help="127.0.0.1:8776; port 0 takes a free one")
    serve.add_argument(
        "--data", type=_folder, metavar="DIR", help="or BREEZEBLOCK_DATA; else ~/.local/share/breezeblock"
    )
    serve.add_argument("--ready-file", type=Path, metavar="FILE", help="written when requests are answered")

    leaf(nouns, "status", "service:status", "say how the service is")
    leaf(
        noun(nouns, "service", "the service's processes: list"),
        "list",
        "service:list_services",
        "list services",
    )
    leaf(
        noun(nouns, "pool", "where volumes can be placed: list"),
        "list",
        "service:list_pools",
        "list pools and their space",
    )


def _folder(text: str) -> Path:
    """An empty word (a script's unset variable) would be the folder that one happens to stand in."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not a folder")
    return Path(text)

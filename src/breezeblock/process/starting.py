# SPDX-License-Identifier: Apache-2.0
"""What a start says no to, or begins, before anything is made: the log, and a ready file that could not be written. Must never touch the
data folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from breezeblock.model.errors import Failed


def begin_log(level: str) -> None:
    known = logging.getLevelNamesMapping()
    if level not in known:
        raise Failed(
            "BREEZEBLOCK_LOG is no log level",
            needed=f"one of {', '.join(known)}",
            had=repr(level),
            remedy="Unset it, or set it to INFO.",
        )
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def refuse_unwritable(ready_file: Path | str | None) -> None:
    """Before anything is made: written only when requests are answered, it would end the service then."""
    if ready_file is not None and not os.access(Path(ready_file).absolute().parent, os.W_OK | os.X_OK):
        raise Failed(
            f"the ready file {ready_file} cannot be written",
            needed="a folder that exists and that this user may write to",
            had=str(Path(ready_file).absolute().parent),
            remedy="Choose another with --ready-file.",
        )

# SPDX-License-Identifier: Apache-2.0
"""The composition root: reads the configuration, opens the data folder, starts roles and stops them. Imports everything, imported by nobody
but the command line (and that lazily)."""

from __future__ import annotations

from pathlib import Path


def serve(
    *,
    config: Path | str | None = None,
    listen: str | None = None,
    data: Path | str | None = None,
    ready_file: Path | str | None = None,
) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit code; a refusal to start is one sentence on stderr."""
    from breezeblock.process.serve import run

    return run(config=config, listen=listen, data=data, ready_file=ready_file)

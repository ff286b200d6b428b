# SPDX-License-Identifier: Apache-2.0
"""The breezeblock command. Speaks HTTP; imports the service only for serve."""


def main() -> int:
    """The console script's entry."""
    from breezeblock.cli.main import run

    return run()

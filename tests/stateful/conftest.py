# SPDX-License-Identifier: Apache-2.0
"""The worlds of the crash tests, driven at random here."""

from tests.crash.conftest import launcher, world, worlds

__all__ = ["launcher", "world", "worlds"]

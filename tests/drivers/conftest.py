# SPDX-License-Identifier: Apache-2.0
"""Real exporters for the drivers' volumes, and the proof at the end that none is left."""

from tests.lab.data_path import ground

__all__ = ["ground"]

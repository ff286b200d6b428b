# SPDX-License-Identifier: Apache-2.0
"""Real exports and devices, and the proof at the end of each test that none is left."""

from tests.lab.data_path import ground

__all__ = ["ground"]

# SPDX-License-Identifier: Apache-2.0
"""Volumes in a folder. Read layers.py first: it tells how."""

from breezeblock.drivers.file.driver import FileDriver

__all__ = ["FileDriver"]

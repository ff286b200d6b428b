# SPDX-License-Identifier: Apache-2.0
"""Breezeblock: block storage as a service. docs/ARCHITECTURE.md names the rooms of this package."""

__version__ = "0.1.0"

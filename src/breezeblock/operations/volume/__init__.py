# SPDX-License-Identifier: Apache-2.0
"""Verbs of volumes, one file each."""

# SPDX-License-Identifier: Apache-2.0
"""Verbs of snapshots, one file each."""

# SPDX-License-Identifier: Apache-2.0
"""Verbs of attachments, one file each."""

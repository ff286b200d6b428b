# SPDX-License-Identifier: Apache-2.0
"""Verbs of the agent: volumes connected to this host as durable operations."""

# SPDX-License-Identifier: Apache-2.0
"""Bells and events. Losing the bus costs latency, never work."""

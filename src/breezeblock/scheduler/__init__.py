# SPDX-License-Identifier: Apache-2.0
"""Where a volume goes and why. Pure: pool records in, decision out. Must never do I/O."""

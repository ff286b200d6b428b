# SPDX-License-Identifier: Apache-2.0
"""One file per revision, in one line from the first to the head. A released revision never changes."""

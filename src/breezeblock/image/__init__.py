# SPDX-License-Identifier: Apache-2.0
"""Images: safe header inspection and sandboxed conversion. Never lets a program probe a format."""

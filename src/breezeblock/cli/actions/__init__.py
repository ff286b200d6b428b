# SPDX-License-Identifier: Apache-2.0
"""What each command does: one file per noun, the same names as in cli/parser. A command is a function of a Session and typed keywords."""

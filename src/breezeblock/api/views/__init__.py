# SPDX-License-Identifier: Apache-2.0
"""Answers' bodies: one file per resource, each a Struct whose fields are exactly the contract's at every microversion. A field that a
version or a caller does not get is UNSET and vanishes. Made positionally and encoded once; must never query."""

# SPDX-License-Identifier: Apache-2.0
"""How a volume enters a host: connectors, one per protocol. With model and host, a library that needs no service."""

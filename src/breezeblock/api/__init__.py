# SPDX-License-Identifier: Apache-2.0
"""Block Storage API v3 over HTTP: translates, never decides. Must never import a driver."""

# SPDX-License-Identifier: Apache-2.0
"""How a volume leaves a storage host, behind one Protocol (target.py). Targets know no HTTP, no database, no driver."""

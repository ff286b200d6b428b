# SPDX-License-Identifier: Apache-2.0
"""Task flows with rollback: tasks, LinearFlow, the engine. Knows no volume and no database: Journal and Bell are Protocols here."""

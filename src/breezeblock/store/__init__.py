# SPDX-License-Identifier: Apache-2.0
"""The truth: schema, transactions, queries, charges, journal and paging on SQLite, PostgreSQL and MariaDB. Only it writes a status."""

# SPDX-License-Identifier: Apache-2.0
"""What exists: volumes, snapshots, attachments, pools, their states and their errors. No I/O, imports no other room."""

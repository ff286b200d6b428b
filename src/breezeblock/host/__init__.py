# SPDX-License-Identifier: Apache-2.0
"""What is done to this machine: programs, QEMU, loop devices, mounts, files. Knows no volume and no database."""

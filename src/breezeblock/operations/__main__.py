# SPDX-License-Identifier: Apache-2.0
"""`python -m breezeblock.operations` prints docs/OPERATIONS.md."""

import sys

from breezeblock.operations.page import page

sys.stdout.write(page())

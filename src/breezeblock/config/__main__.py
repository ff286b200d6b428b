# SPDX-License-Identifier: Apache-2.0
"""`python -m breezeblock.config` prints docs/CONFIGURATION.md."""

import sys

from breezeblock.config.page import page

sys.stdout.write(page())

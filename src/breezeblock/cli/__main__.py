# SPDX-License-Identifier: Apache-2.0
"""`python -m breezeblock.cli`: the same as the console script, for an environment whose scripts are not in PATH."""

import sys

from breezeblock.cli import main

sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""What keeps backends in order: tidying, and paying what is owed to them."""

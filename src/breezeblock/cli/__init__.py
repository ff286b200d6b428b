# SPDX-License-Identifier: Apache-2.0
"""The breezeblock command. Speaks HTTP; imports the service only for serve."""

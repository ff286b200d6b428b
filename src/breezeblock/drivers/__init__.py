# SPDX-License-Identifier: Apache-2.0
"""Storage backends behind one Protocol (driver.py). Know no HTTP, no quota, no database, and not each other."""

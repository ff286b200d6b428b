# SPDX-License-Identifier: Apache-2.0
"""One package per noun, one file per verb: what each verb does, task by task. Holds no SQL and runs no subprocess."""

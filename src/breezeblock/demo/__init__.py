# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a volume's whole life on real bytes, through the product's own command, verified by checksum at every step.

steps.py     what happens, in order: read this first
life.py      runs the steps, tells why one failed, leaves nothing behind
mounted.py   content as root: a file system full of files      streamed.py  content as anybody: bytes over NBD
instance.py  the service under demonstration                   traces.py    what a failed run could leave, and its removal
report.py    the live report and the table at the end
"""

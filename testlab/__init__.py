# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests run on: nodes with systemd, made from Debian's own packages without an image registry.

`python -m testlab --help` names the verbs. A lab is a set of nodes under one name; labs know nothing of each
other, so several tests can run at once. README.md says what is real in a node.
"""

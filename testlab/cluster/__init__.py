# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Kubernetes on the testlab's nodes, without an image registry and without a GPU; and one for scale.

`python -m testlab cluster --help` names the verbs; ../README.md says what is real and what is a stand-in.
"""

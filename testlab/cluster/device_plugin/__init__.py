# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated device plugin: a stand-in of NVIDIA's for simulated GPUs.

It runs in an image of its own, apart from the testlab.
"""

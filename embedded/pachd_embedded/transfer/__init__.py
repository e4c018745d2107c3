# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pachd holds, as plain files: written by `export`, and read by the control API's /seed."""

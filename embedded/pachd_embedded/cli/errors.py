# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a command with one line on stderr and exit code 1."""

from __future__ import annotations


class CommandError(Exception):
    """The text is one line for the user."""

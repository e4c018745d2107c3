# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded pachd: Pachyderm 2.12's own gRPC API on one machine."""

from __future__ import annotations

# The release of Pachyderm whose API and behaviour this server follows.
PACHYDERM_VERSION = (2, 12, 2)

__version__ = "1.0.0"

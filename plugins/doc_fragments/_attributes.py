# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that modules declare. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and predict what would change, without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or in C(check_mode) would change, when in diff mode.
  idempotent:
    description: Run twice in a row outside check mode with the same options, the second run changes nothing.
"""

    # Of modules that only read.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
"""

    ACTIONGROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/gpulab.pachyderm.pachyderm) in C(module_defaults) to set the connection once.
    support: full
    membership:
      - gpulab.pachyderm.pachyderm
"""

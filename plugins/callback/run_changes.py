# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback run_changes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_changes
type: aggregate
short_description: Record what a run changes, for the lab report
version_added: 1.0.0
description:
  - Writes one line of JSON for each task that changes something into a file of the run, and names that file
    in the environment variable E(GPULAB_RUN_CHANGES). The role P(gpulab.pachyderm.lab_report#role) reads it.
  - A line has the host, the name of the task and, of this collection's modules, the actions. It has neither
    arguments nor diffs, which may hold secrets.
  - The file is in Ansible's temporary directory of the run, which goes when the run ends.
author:
  - gpulab contributors (@gpulab)
requirements:
  - C(gpulab.pachyderm.run_changes) in C(callbacks_enabled) of ansible.cfg
"""

import json
import os
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

VARIABLE = "GPULAB_RUN_CHANGES"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "gpulab.pachyderm.run_changes"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file = Path(constants.DEFAULT_LOCAL_TMP) / "run_changes.jsonl"
        os.environ[VARIABLE] = str(self._file)

    def v2_runner_on_ok(self, result: Any) -> None:
        values = result.result
        if not values.get("changed"):
            return
        items = [values, *(item for item in values.get("results", []) if isinstance(item, dict))]
        change = {
            "host": result.host.get_name(),
            "task": result.task.get_name().rpartition(" : ")[2],
            "actions": [text for item in items for text in _actions(item.get("actions"))],
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(change) + "\n")


def _actions(actions: Any) -> list[str]:
    """What a module of this collection says of its actions; those of others may be anything."""
    keys = ("action", "kind", "name")
    return [
        " ".join(str(action[key]) for key in keys)
        for action in (actions if isinstance(actions, list) else [])
        if isinstance(action, dict) and all(key in action for key in keys)
    ]

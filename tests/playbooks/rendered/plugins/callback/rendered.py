# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's output as lines of JSON: what each task of each host came to, and from which file it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: rendered
type: stdout
short_description: A line of JSON for each result
description: Test only. Appends to the file that RENDERED_EVENTS names.
"""


def listed(value: Any) -> list[Any]:
    """A module's diff: one, several or none."""
    return value if isinstance(value, list) else [value] if value else []


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rendered"

    def write(self, status: str, result: Any) -> None:
        self._handle_warnings_and_exception(result)
        values = result.result
        event = {
            "host": result.host.get_name(),
            "status": status,
            "task": result.task.get_name(),
            "file": (result.task.get_path() or "").rsplit(":", 1)[0],
            "action": result.task.action,
            "changed": bool(values.get("changed")),
            "msg": values.get("msg", ""),
            "facts": values.get("ansible_facts", {}) if "set_fact" in result.task.action else {},
            "written": [
                diff["after"]
                for one in values.get("results", [values])
                for diff in listed(one.get("diff"))
                if isinstance(diff.get("after"), str)
            ],
            "files": values.get("ansible_included_var_files", []),
        }
        with Path(os.environ["RENDERED_EVENTS"]).open("a") as stream:
            stream.write(json.dumps(event, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self.write("ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self.write("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self.write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.write("failed", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._handle_warnings_and_exception(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._handle_warnings_and_exception(result)

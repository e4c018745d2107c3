# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did, as lines of JSON; and a run that dies when a task starts."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: events
type: notification
short_description: A line of JSON for each result
description:
  - Test only. Appends to the file that NODES_EVENTS names.
  - Where the task that NODES_KILL_AT names starts for the first time, ansible-playbook is killed (SIGKILL);
    nothing of the task has reached a node by then.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    def write(self, status: str, result: Any) -> None:
        values = result.result
        failed = [one["msg"] for one in values.get("results", []) if one.get("failed") and "msg" in one]
        event = {
            "host": result.host.get_name(),
            "status": status,
            "task": result.task.get_name(),
            "changed": bool(values.get("changed")),
            "msg": "; ".join(map(str, failed or [values.get("msg", "")])),
        }
        with Path(os.environ["NODES_EVENTS"]).open("a") as stream:
            stream.write(json.dumps(event) + "\n")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if task.get_name().split(" : ")[-1] == os.environ.get("NODES_KILL_AT"):
            os.kill(os.getpid(), signal.SIGKILL)

    def v2_runner_on_ok(self, result: Any) -> None:
        self.write("ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self.write("skipped", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self.write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self.write("failed", result)

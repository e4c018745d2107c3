# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible connection to a node that does not exist: writes down what it is asked, answers as was recorded."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: recorded
short_description: Executes nothing; records each module and answers from a file
description: Test only. Takes Ansible's module payload apart, appends module and arguments to a journal,
  and answers with the first fitting answer of a script.
author: gpulab.pachyderm
extends_documentation_fragment: connection_pipelining
options:
  script:
    description: JSON file with the answers.
    vars: [{name: recorded_script}]
  journal:
    description: File that gets a line of JSON for each call.
    vars: [{name: recorded_journal}]
"""

# What modules say that are asked of a node where nothing is: as the real ones do, no more than roles read.
DEFAULTS: dict[str, dict[str, Any]] = {
    "stat": {"changed": False, "stat": {"exists": False}},
    "find": {"changed": False, "files": [], "matched": 0, "examined": 0},
    "slurp": {"failed": True, "msg": "file not found"},
    "service_facts": {"changed": False, "ansible_facts": {"services": {}}},
    "command": {"changed": True, "rc": 0, "stdout": "", "stderr": ""},
    "ping": {"changed": False, "ping": "pong"},
}
# ansible.builtin.command in check mode (its source): neither run nor changed.
NOT_RUN = {
    "changed": False,
    "skipped": True,
    "rc": 0,
    "stdout": "",
    "stderr": "",
    "msg": "Command would have run if not in check mode",
}


def plain(value: Any) -> Any:
    """JSON without the wrappers in which ansible-core 2.19 keeps a value's tags."""
    if isinstance(value, dict):
        if "__ansible_type" in value:
            return plain(value["value"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def parse(payload: bytes) -> dict[str, Any]:
    """Module and arguments of an AnsiballZ payload, which ends in a call with one keyword a line."""
    words = dict(re.findall(r"^(module_fqn|params)=(.*),$", payload.decode(), re.MULTILINE))
    given = plain(json.loads(ast.literal_eval(words["params"])))["ANSIBLE_MODULE_ARGS"]
    return {
        "module": ast.literal_eval(words["module_fqn"]).rsplit(".", 1)[1],
        "check": bool(given.get("_ansible_check_mode")),
        "args": {key: value for key, value in given.items() if not key.startswith("_ansible_")},
    }


def fits(condition: dict[str, Any], call: dict[str, Any]) -> bool:
    """Whether a call is of the module, and has the text in its arguments, that a condition names."""
    return condition["module"] == call["module"] and condition.get("with", "") in json.dumps(call["args"])


class Connection(ConnectionBase):  # type: ignore[misc]
    transport = "recorded"
    has_pipelining = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sent: dict[str, str] = {}

    def _connect(self) -> Connection:
        return self

    def close(self) -> None:
        pass

    def reset(self) -> None:
        pass

    def put_file(self, in_path: str, out_path: str) -> None:
        self.sent[out_path] = Path(in_path).read_text(encoding="utf-8")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        raise NotImplementedError(f"no recorded node has {in_path}")

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> Any:
        if in_data:
            call = parse(in_data)
            if call["args"].get("src") in self.sent:
                call["args"]["content"] = self.sent[call["args"].pop("src")]
            # Ansible's own look at a file before it shows what would change.
            if call["args"].get("_diff_peek"):
                return 0, b'{"changed": false, "state": "absent"}', b""
            answer = self.answer(call)
            self.write(call)
            return 0, json.dumps(answer).encode(), b""
        return 0, self.shell(cmd).encode(), b""

    def journal(self) -> list[dict[str, Any]]:
        path = Path(self.get_option("journal"))
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def write(self, call: dict[str, Any]) -> None:
        with Path(self.get_option("journal")).open("a") as stream:
            stream.write(json.dumps(call) + "\n")

    def shell(self, command: str) -> str:
        """What Ansible asks the shell itself: where to put files, and the steps of its reboot action."""
        if "shutdown" in command:
            self.write({"module": "shutdown", "check": False, "args": {"command": command}})
        elif "boot_id" in command:
            return f"boot {sum(call['module'] == 'shutdown' for call in self.journal())}"
        elif "mkdir" in command:
            name = command.split("/root/.ansible/tmp/", 1)[1].split("`")[0].split(" ")[0].strip("\"'")
            return f"{name}=/root/.ansible/tmp/{name}"
        elif "echo ~" in command:
            return "/root"
        return ""

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """The last answer of the script that fits and whose time has come, else what such a module says."""
        script = json.loads(Path(self.get_option("script")).read_text())
        done = [earlier for earlier in self.journal() if not earlier["check"]]
        for answer in reversed(script["answers"]):
            after = answer.get("after")
            if fits(answer, call) and (not after or any(fits(after, earlier) for earlier in done)):
                result: dict[str, Any] = answer["result"]
                return result
        if call["module"] == "setup":
            return {"changed": False, "ansible_facts": script["facts"]}
        if call["module"] == "find" and "shutdown" in (call["args"].get("patterns") or ()):
            return {**DEFAULTS["find"], "files": [{"path": "/usr/sbin/shutdown"}]}
        if call["module"] == "command" and call["check"]:
            return NOT_RUN
        return DEFAULTS.get(call["module"], {"changed": True})

# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a role, for real, against nodes that only answer what was recorded, and shows what they were asked."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.ansible_runs import checkout_playbook

from . import nodes

HERE = Path(__file__).resolve().parent
# Of includes whose tasks_from is templated Ansible takes those of all hosts for one: so each has its own.
PLAY = {"name": "Render roles for all nodes at once", "hosts": "all"}


def include(tasks_from: str) -> dict[str, Any]:
    """The task that runs an entry of a node's role."""
    return {
        "name": "The role",
        "ansible.builtin.include_role": {"name": "{{ rendered_role }}", "tasks_from": tasks_from},
        "when": f"rendered_tasks_from == '{tasks_from}'",
    }


@dataclasses.dataclass(frozen=True)
class Case:
    """One node, the role that it gets, and what it answers where that is not what a bare node says.

    answers: dictionaries with module, result, and optionally `with` (text in the arguments) and `after`
    (such a dictionary: the answer counts once a call like that was made). The last that fits is given.
    """

    role: str
    platform: str
    gpu: str = "T4"
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    answers: tuple[Mapping[str, Any], ...] = ()
    nvidia: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    tasks_from: str = "main"
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    check: bool = False

    def script(self) -> dict[str, Any]:
        """The answers as the connection reads them: those of nvidia_node_info and package_facts first."""
        state = nodes.nvidia(self.platform, self.gpu, **self.nvidia)
        packages = {
            name: [{"name": name, "version": package["version"]}]
            for name, package in state["packages"].items()
        }
        return {
            "facts": {**nodes.PLATFORMS[self.platform], **self.facts},
            "answers": [
                {"module": "nvidia_node_info", "result": {"changed": False, "nvidia": state}},
                {
                    "module": "package_facts",
                    "result": {"changed": False, "ansible_facts": {"packages": packages}},
                },
                *self.answers,
            ],
        }


def info(state: Mapping[str, Any], after: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An answer of nvidia_node_info; with `after`, one that counts once such a call was made."""
    answer = {"module": "nvidia_node_info", "result": {"changed": False, "nvidia": state}}
    return {**answer, "after": after} if after else answer


@dataclasses.dataclass
class Call:
    """A module that a node was asked to run."""

    module: str
    args: dict[str, Any]
    check: bool

    @property
    def command(self) -> str:
        """The command line of a command, as one would type it; else empty."""
        if self.module != "command":
            return ""
        given = self.args.get("argv") or self.args.get("_raw_params") or self.args.get("cmd") or ""
        return given if isinstance(given, str) else shlex.join(map(str, given))

    def items(self, *names: str) -> list[str]:
        """An argument that may be one string or a list, under the first of these names that is given."""
        value: Any = next((self.args[name] for name in names if self.args.get(name)), [])
        return [str(item) for item in value] if isinstance(value, list) else re.split(r"[ ,]+", str(value))


@dataclasses.dataclass
class Rendered:
    """What became of a case."""

    calls: list[Call]
    events: list[dict[str, Any]]

    def of(self, *modules: str) -> list[Call]:
        return [call for call in self.calls if call.module in modules]

    @property
    def commands(self) -> list[str]:
        return [call.command for call in self.calls if call.command]

    @property
    def failure(self) -> str:
        """The message with which the node's play ended; empty if it did not fail."""
        return next((str(event["msg"]) for event in self.events if event["status"] == "failed"), "")

    @property
    def changed(self) -> list[str]:
        return [event["task"] for event in self.events if event["changed"]]

    @property
    def written(self) -> list[str]:
        """Contents of the files that were written or, in check mode, would have been."""
        return [text for event in self.events for text in event["written"]]

    @property
    def facts(self) -> dict[str, Any]:
        return {name: value for event in self.events for name, value in event["facts"].items()}

    @property
    def said(self) -> str:
        """All messages, failures among them."""
        return "\n".join(str(event["msg"]) for event in self.events)

    def writes(self) -> list[Call]:
        """The calls that are more than a question."""
        questions = {
            "setup",
            "nvidia_node_info",
            "nvidia_container_info",
            "stat",
            "find",
            "slurp",
            "package_facts",
            "service_facts",
        }
        return [call for call in self.calls if call.module not in questions]


def render(cases: Mapping[str, Case]) -> dict[str, Rendered]:
    """Runs all cases, a host each; at most one run with and one without --check. Any warning fails."""
    found: dict[str, Rendered] = {}
    for check in (False, True):
        chosen = {name: case for name, case in cases.items() if case.check is check}
        if chosen:
            with tempfile.TemporaryDirectory() as directory:
                found |= run(chosen, Path(directory), check)
    return found


def run(cases: Mapping[str, Case], directory: Path, check: bool) -> dict[str, Rendered]:
    hosts = {}
    for number, case in enumerate(cases.values()):
        script = directory / f"{number}.script"
        script.write_text(json.dumps(case.script()))
        hosts[f"node{number}"] = {
            "recorded_script": str(script),
            "recorded_journal": str(directory / f"{number}.journal"),
            "rendered_role": case.role if "/" in case.role else f"gpulab.pachyderm.{case.role}",
            "rendered_tasks_from": case.tasks_from,
            "ansible_connection": "recorded",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_user": "root",
            **case.variables,
        }
    inventory = {"all": {"hosts": hosts, "children": {"gpu_nodes": {"hosts": {host: {} for host in hosts}}}}}
    (directory / "inventory.json").write_text(json.dumps(inventory))
    entries = sorted({case.tasks_from for case in cases.values()})
    (directory / "play.yml").write_text(json.dumps([{**PLAY, "tasks": [include(name) for name in entries]}]))
    events = directory / "events"
    environment = {
        "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "plugins/connection"),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "plugins/callback"),
        "ANSIBLE_STDOUT_CALLBACK": "rendered",
        "ANSIBLE_DIFF_ALWAYS": "true",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_FORKS": "4",
        "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
        "ANSIBLE_HOME": str(directory / "home"),
        "RENDERED_EVENTS": str(events),
    }
    arguments = ["--inventory", str(directory / "inventory.json"), *(["--check"] if check else [])]
    process = checkout_playbook(str(directory / "play.yml"), *arguments, **environment)
    output = process.stdout + process.stderr
    # 2: a node failed, which is for the test to judge. Warnings and deprecations never are.
    assert process.returncode in (0, 2), output
    assert "[WARNING]" not in output, output
    assert "[DEPRECATION" not in output, output
    seen = [json.loads(line) for line in events.read_text().splitlines()]
    done = [collect(host, name, seen) for name, host in hosts.items()]
    return dict(zip(cases, done, strict=True))


def collect(host: Mapping[str, Any], name: str, events: list[dict[str, Any]]) -> Rendered:
    journal = Path(host["recorded_journal"])
    lines = journal.read_text().splitlines() if journal.exists() else []
    return Rendered(
        [Call(**json.loads(line)) for line in lines], [event for event in events if event["host"] == name]
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens, secrets and passwords are in nothing that runs of all modules write, nor in the server's logs."""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pachyderm_sdk import Client
from pachyderm_sdk.api import auth

from pachd_embedded.log_lines import JsonLines
from pachd_embedded.server import Server, Settings
from tests.ansible_runs import LOCAL, ROOT, ansible

CLUSTER = auth.Resource(type=auth.ResourceType.CLUSTER)
HIDDEN = {
    "root token": "root-token-to-hide",
    "wrong token": "wrong-token-to-hide",
    "value of a secret": "swordfish-to-hide",
    "other value of a secret": "pike-to-hide",
    "file of a secret": "carp-to-hide",
    "variable of a pipeline": "perch-to-hide",
    "other variable of a pipeline": "trout-to-hide",
    "variable in defaults": "eel-to-hide",
    "password in a URL": "herring-to-hide",
    "password in an address": "shark-to-hide",
}
# In an order in which each finds what it needs. `step` differs in the second run.
TASKS = """
- pachyderm_project: {projects: [{name: vision, description: "{{ step }}"}]}
- pachyderm_repo: {repos: [{name: data, description: "{{ step }}"}]}
- pachyderm_defaults:
    defaults:
      - spec: {createPipelineRequest: {transform: {env: {KEY: "{{ default_env }}"}}, datumTries: "{{ n }}"}}
- pachyderm_secret: {name: "db-{{ step }}", data: {key: "{{ value }}"}, files: {file: "{{ inputs }}/carp"}}
- pachyderm_sync: {repo: data, src: "{{ inputs }}/tree-{{ step }}"}
- pachyderm_file:
    repo: data
    path: /step
    content: "{{ step }}"
- pachyderm_branch: {repo: data, name: "{{ step }}"}
- pachyderm_pipeline:
    wait: true
    pipeline:
      pipeline: {name: copy}
      input: {pfs: {repo: data, glob: /}}
      transform: {cmd: [sh], stdin: ["cp /pfs/data/a /pfs/out/"], env: {KEY: "{{ env }}"}}
- pachyderm_role_binding: {type: project, name: vision, roles: "{{ {'robot:' ~ step: ['projectOwner']} }}"}
- pachyderm_commit: {action: start, repo: data, branch: "open-{{ step }}"}
- pachyderm_job: {action: run, pipeline: copy}
- pachyderm_prune: {lab: "{{ step }}", repos: [default/data]}
- pachyderm_fetch: {repo: data, dest: "{{ outputs }}/fetched-{{ step }}"}
- pachyderm_info:
    gather: [projects, repos, branches, commits, pipelines, jobs, defaults, role_bindings]
    pachd_address: "{{ omit }}"
    auth_token: "{{ omit }}"
    pach_config: "{{ inputs }}/config.json"
- pachyderm_info: {gather: [repos], auth_token: "{{ wrong_token }}"}
- pachyderm_pipeline: {pipeline: {pipeline: {name: odd}, transform: {env: {KEY: "{{ env }}"}}, nonsense: 1}}
- pachyderm_defaults: {spec: {createPipelineRequest: {transform: {env: {KEY: "{{ env }}"}}, nonsense: 1}}}
- pachyderm_file: {repo: data, path: /x, url: "http://me:{{ password }}@127.0.0.1:1/fetched"}
- pachyderm_repo: {name: data, pachd_address: "grpc://me:{{ address_password }}@127.0.0.1:1"}
"""
# Methods without which no module but one that is not let in gets to its end.
FAILING = ("Create*", "Set*", "Modify*", "Edit*", "Start*", "Batch*", "GetFile", "ListCommit")


def play() -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    for number, task in enumerate(yaml.safe_load(TASKS)):
        [(module, options)] = task.items()
        tasks.append({f"gpulab.pachyderm.{module}": options, "register": f"result_{number}"})
    names = [task["register"] for task in tasks]
    results = "{{ " + json.dumps(names) + " | map('extract', vars) | list }}"
    return [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "ignore_errors": True,
            "module_defaults": {
                "group/gpulab.pachyderm.pachyderm": {
                    "pachd_address": "{{ address }}",
                    "auth_token": "{{ token }}",
                }
            },
            "tasks": [
                *tasks,
                {"ansible.builtin.set_fact": {"results": results, "cacheable": True}},
                {"ansible.builtin.debug": {"var": "results"}},
                {
                    "ansible.builtin.copy": {
                        "content": "{{ results | to_json }}",
                        "dest": "{{ outputs }}/results-{{ step }}",
                        "mode": "0600",
                    }
                },
                {
                    "ansible.builtin.set_fact": {
                        "file": "{{ lookup('gpulab.pachyderm.pachyderm_file', 'data:/a', "
                        "pachd_address=address, auth_token=wrong_token) }}"
                    }
                },
            ],
        }
    ]


class Outputs:
    """A server, runs of the play, and a directory with all that both write."""

    def __init__(self, directory: Path) -> None:
        self.inputs, self.outputs, self.home = (directory / name for name in ("inputs", "outputs", "home"))
        for made in (self.inputs, self.outputs, self.home):
            made.mkdir()
        token = self.inputs / "token"
        token.touch(mode=0o600)
        token.write_text(HIDDEN["root token"])
        (self.inputs / "carp").write_text(HIDDEN["file of a secret"])
        for step in ("one", "two"):
            (self.inputs / f"tree-{step}").mkdir()
            (self.inputs / f"tree-{step}/a").write_text(step)
        self.server = Server(
            Settings(
                directory / "pachd",
                "127.0.0.1:0",
                journal=self.outputs / "journal",
                auth_root_token_file=token,
            )
        )
        self.robot = self._robot()
        context = {"pachd_address": f"grpc://{self.server.address}", "session_token": self.robot}
        config = {"v2": {"active_context": "lab", "contexts": {"lab": context}}}
        (self.inputs / "config.json").write_text(json.dumps(config))

    def _robot(self) -> str:
        client = Client.from_pachd_address(self.server.address, auth_token=HIDDEN["root token"])
        client.auth.modify_role_binding(resource=CLUSTER, principal="robot:lab", roles=["clusterAdmin"])
        return str(client.auth.get_robot_token(robot="lab").token)

    def run(self, step: str, **variables: Any) -> list[dict[str, Any]]:
        """The results of the modules."""
        given = {
            "step": step,
            "inputs": str(self.inputs),
            "outputs": str(self.outputs),
            "address": self.server.address,
            "token": HIDDEN["root token"],
            "wrong_token": HIDDEN["wrong token"],
            "password": HIDDEN["password in a URL"],
            "address_password": HIDDEN["password in an address"],
            "default_env": HIDDEN["variable in defaults"],
            "ansible_python_interpreter": sys.executable,
        }
        (self.inputs / "play.yml").write_text(json.dumps(play()))
        (self.inputs / "variables.json").write_text(json.dumps(given | variables))
        done = ansible(
            "playbook",
            *(*LOCAL, "-vvv", "--diff", "-e", f"@{self.inputs / 'variables.json'}"),
            str(self.inputs / "play.yml"),
            home=self.home,
            ANSIBLE_LOG_PATH=str(self.outputs / f"log-{step}"),
            ANSIBLE_CACHE_PLUGIN="ansible.builtin.jsonfile",
            ANSIBLE_CACHE_PLUGIN_CONNECTION=str(self.outputs / f"facts-{step}"),
        )
        (self.outputs / f"screen-{step}").write_text(done.stdout + done.stderr)
        assert list((self.outputs / f"facts-{step}").iterdir())
        return list(json.loads((self.outputs / f"results-{step}").read_text()))

    def found(self) -> list[str]:
        """What is written where although it is to be hidden."""
        wanted = {**HIDDEN, "token of a context": self.robot}
        texts = {name: {text.encode(), base64.b64encode(text.encode())} for name, text in wanted.items()}
        files = [path for top in (self.outputs, self.home) for path in top.rglob("*") if path.is_file()]
        return [
            f"{name} in {path.name}"
            for path in files
            for name, forms in texts.items()
            if any(form in path.read_bytes() for form in forms)
        ]


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outputs]:
    made = Outputs(tmp_path)
    log, handler = logging.getLogger(), logging.FileHandler(made.outputs / "server-log")
    handler.setFormatter(JsonLines())
    with monkeypatch.context() as logging_all:
        logging_all.setattr(log, "level", logging.DEBUG)
        log.addHandler(handler)
        yield made
        made.server.stop(grace=0)
        log.removeHandler(handler)
        handler.close()


def test_what_is_to_be_hidden_is_in_nothing_that_is_written(
    outputs: Outputs,
) -> None:
    good = outputs.run(
        "one",
        value=HIDDEN["value of a secret"],
        env=HIDDEN["variable of a pipeline"],
        n=1,
    )
    failed = [result.get("failed", False) for result in good]
    assert failed == [False] * (len(good) - 5) + [True] * 5, good
    for method in FAILING:
        outputs.server.faults.add({"method": method, "code": "INTERNAL", "text": "no"})
    bad = outputs.run(
        "two",
        value=HIDDEN["other value of a secret"],
        env=HIDDEN["other variable of a pipeline"],
        n=2,
    )
    assert [number for number, result in enumerate(bad) if not result.get("failed")] == [], bad
    assert outputs.found() == []


def test_the_play_has_every_module() -> None:
    group = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["pachyderm"]
    assert {name for task in yaml.safe_load(TASKS) for name in task} == set(group)

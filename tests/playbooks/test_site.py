# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml and the two roles, as ansible-playbook runs them, on a lab of its own for each test."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from tests.ansible_runs import ROOT, checkout_playbook

PROCESS = ROOT / "roles/pachyderm_embedded/files/pachd_process.py"
PIPELINES = [
    {
        "pipeline": {"name": "copy"},
        "input": {"pfs": {"repo": "data", "glob": "/*"}},
        "transform": {"cmd": ["sh", "-c", "cp /pfs/data/* /pfs/out/"]},
        "resource_limits": {"gpu": {"type": "nvidia.com/gpu", "number": 1}},
    }
]
COPY = pps.Pipeline(name="copy", project=pfs.Project(name="default"))


@dataclass(frozen=True)
class Run:
    """What one run of ansible-playbook came to; `text` is its output without line breaks and indents."""

    code: int
    output: str

    @property
    def text(self) -> str:
        return " ".join(self.output.split())

    def recap(self, key: str) -> int:
        """A number of the last line, such as changed."""
        return int(re.findall(rf"{key}=(\d+)", self.output)[-1])


class Lab:
    """Playbooks on the embedded inventory, with everything that they keep below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.data.mkdir()
        (self.data / "one.txt").write_text("1\n")
        (self.data / "two.bin").write_bytes(bytes(range(256)))
        self.pachd = directory / "pachd"
        self.results = directory / "results"
        self.variables: dict[str, Any] = {
            "lab_state": str(directory),
            "pachyderm_embedded_address": f"127.0.0.1:{free_port()}",
            "pachyderm_embedded_journal": True,
            "pachyderm_workflow_pipelines": PIPELINES,
            "pachyderm_workflow_fetch": [{"repo": "copy", "dest": str(self.results)}],
        }

    def play(
        self,
        playbook: str = "site.yml",
        *arguments: str,
        path: Path | None = None,
        warned: bool = False,
        **variables: Any,
    ) -> Run:
        """Run a playbook with this lab's variables and these, `path` at the head of PATH.

        Without `warned`, only a check-mode run may print a warning.
        """
        extra = ("--extra-vars", json.dumps(self.variables | variables))
        search = os.environ["PATH"] if path is None else f"{path}:{os.environ['PATH']}"
        done = checkout_playbook(playbook, *arguments, *extra, PATH=search)
        assert "[WARNING]" not in done.stderr or warned or "--check" in arguments, done.stderr
        assert "[DEPRECATION WARNING]" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout + done.stderr)

    def up(self, **variables: Any) -> Run:
        """A run of site.yml that must succeed."""
        run = self.play(**variables)
        assert run.code == 0, run.output
        return run

    @property
    def client(self) -> Client:
        return Client.from_pachd_address(f"grpc://{self.variables['pachyderm_embedded_address']}")

    def pid(self) -> str:
        return (self.pachd / "pachd.pid").read_text().strip()

    def mutations(self) -> list[str]:
        """The mutating methods that pachd was asked for so far."""
        calls = map(json.loads, (self.pachd / "journal.jsonl").read_text().splitlines())
        return [call["method"] for call in calls if call["mutating"]]


def is_alive(pid: str) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty once it has ended
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    directory = tmp_path / "a lab"
    directory.mkdir()
    lab = Lab(directory)
    yield lab
    subprocess.run([sys.executable, PROCESS, "stop", lab.pachd, "30"], check=True, capture_output=True)


def test_site_runs_once_and_changes_nothing_afterwards(lab: Lab) -> None:
    lab.up()
    assert (lab.results / "one.txt").read_text() == "1\n"
    assert (lab.results / "two.bin").read_bytes() == bytes(range(256))
    pid, mutations = lab.pid(), lab.mutations()
    assert mutations

    report = json.loads((lab.directory / "report.json").read_text())
    assert [pipeline["name"] for pipeline in report["pachyderm"]["pipelines"]] == ["default/copy"]
    done = {(change["task"], *change["actions"]) for change in report["changes"]}
    assert ("Declare the repos", "create repo default/data") in done

    again = lab.up()
    assert again.recap("changed") == 0, again.output
    assert lab.pid() == pid
    assert lab.mutations() == mutations

    (lab.data / "three.txt").write_text("3\n")
    assert lab.up().recap("changed") == 3  # the commit, the file that is fetched, the report
    job = next(iter(lab.client.pps.list_job(pipeline=COPY)))
    assert (job.data_processed, job.data_skipped) == (1, 2)
    assert (lab.results / "three.txt").read_text() == "3\n"


def test_check_mode_of_a_new_lab_names_what_would_be_made(lab: Lab) -> None:
    run = lab.play("site.yml", "--check")
    assert run.code == 0, run.output
    assert f"would be started with --address={lab.variables['pachyderm_embedded_address']}" in run.text
    assert "would create repo default/data" in run.text
    assert f"would commit {lab.data} to default/data@master" in run.text
    assert "would create pipeline copy" in run.text
    assert run.recap("changed") == 5
    assert not lab.pachd.exists()
    assert not list(lab.directory.glob("report.*"))


def test_check_mode_of_an_empty_server_predicts_and_sends_nothing_that_changes(lab: Lab) -> None:
    assert lab.play("playbooks/pachyderm.yml").code == 0
    run = lab.play("site.yml", "--check", "--diff")
    assert run.code == 0, run.output
    assert run.recap("changed") == 4, run.output  # repo, data, pipeline, report
    assert "copy" in run.output
    assert lab.mutations() == []
    assert not lab.results.exists()


@pytest.mark.slow
def test_changed_settings_restart_the_server_and_keep_its_data(lab: Lab) -> None:
    lab.up()
    pid = lab.pid()
    check = lab.play("site.yml", "--check", pachyderm_embedded_simulated_gpus=3)
    assert "would be restarted with" in check.text
    assert "--gpus=3" in check.text
    assert lab.pid() == pid

    run = lab.up(pachyderm_embedded_simulated_gpus=3)
    assert lab.pid() != pid
    assert run.recap("changed") == 2, run.output  # restarted, and the report tells it


def test_real_gpus_are_used_where_there_are_some(lab: Lab, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho GPU-4f6e\n")
    program.chmod(0o755)
    assert "--gpus=auto" in lab.play("playbooks/pachyderm.yml", "--check", path=tmp_path).text
    program.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert "--gpus=2" in lab.play("playbooks/pachyderm.yml", "--check", path=tmp_path).text


def test_the_server_stops_and_is_deleted_only_when_asked(lab: Lab) -> None:
    assert lab.play("playbooks/pachyderm.yml").code == 0
    pid = lab.pid()
    check = lab.play("playbooks/pachyderm.yml", "--check", pachyderm_embedded_state="stopped")
    assert check.recap("changed") == 1
    assert is_alive(pid)

    assert lab.play("playbooks/pachyderm.yml", pachyderm_embedded_state="stopped").recap("changed") == 1
    assert not is_alive(pid)
    assert lab.play("playbooks/pachyderm.yml", pachyderm_embedded_state="stopped").recap("changed") == 0
    assert lab.pachd.is_dir()

    assert lab.play("playbooks/pachyderm.yml", pachyderm_embedded_state="absent").recap("changed") == 1
    assert not lab.pachd.exists()
    assert lab.play("playbooks/pachyderm.yml", pachyderm_embedded_state="absent").recap("changed") == 0


def test_absent_deletes_no_directory_of_others(lab: Lab) -> None:
    run = lab.play(
        "playbooks/pachyderm.yml",
        pachyderm_embedded_state="absent",
        pachyderm_embedded_data_dir=str(lab.data),
    )
    assert run.code != 0
    assert f"{lab.data} was not made by pachyderm_embedded" in run.text
    assert (lab.data / "one.txt").exists()


@pytest.mark.slow
def test_a_killed_server_is_started_again_with_its_data(lab: Lab) -> None:
    lab.up()
    os.kill(int(lab.pid()), 9)
    run = lab.up()
    assert run.recap("changed") == 2, run.output  # started, and the report tells it


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"pachyderm_embedded_package_dir": "/nowhere"}, "no package pachd_embedded in /nowhere"),
        ({"pachyderm_embedded_python": "/nowhere/python"}, "/nowhere/python"),
        ({"pachyderm_embedded_address": "127.0.0.1"}, "give HOST:PORT"),
        ({"pachyderm_embedded_gpus": "many"}, "'many' is neither a number nor \"auto\""),
        ({"pachyderm_embedded_images": {"a": "/nowhere"}}, "a=/nowhere"),
        ({"pachyderm_embedded_state": "running"}, "pachyderm_embedded_state"),
    ],
)
def test_bad_settings_give_one_clear_line(lab: Lab, variables: dict[str, Any], message: str) -> None:
    run = lab.play("playbooks/pachyderm.yml", **variables)
    assert run.code != 0
    assert message in run.text
    assert "Traceback" not in run.output


def test_a_taken_port_is_named_with_what_pachd_said(lab: Lab) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        run = lab.play("playbooks/pachyderm.yml", pachyderm_embedded_address=address)
    assert run.code != 0
    assert "the embedded pachd ended at once" in run.text
    assert f"{address}: cannot listen there" in run.text


def test_a_missing_data_directory_is_named(lab: Lab) -> None:
    missing = {"src": str(lab.directory / "nothing"), "repo": "data"}
    run = lab.play(pachyderm_workflow_data=[missing])
    assert run.code != 0
    assert missing["src"] in run.text


def test_a_failing_pipeline_ends_the_run_with_its_own_words(lab: Lab) -> None:
    broken = [PIPELINES[0] | {"transform": {"cmd": ["sh", "-c", "echo the disk is full >&2; exit 3"]}}]
    run = lab.play(pachyderm_workflow_pipelines=broken)
    assert run.code != 0
    assert "the disk is full" in run.text
    verify = lab.play("playbooks/verify.yml", pachyderm_workflow_pipelines=broken)
    assert verify.code != 0
    assert "default/copy" in verify.text
    assert "JOB_FAILURE" in verify.text


def test_verify_fails_when_the_lab_is_not_as_declared(lab: Lab) -> None:
    lab.up()
    assert lab.play("playbooks/verify.yml").code == 0
    lab.client.pps.delete_pipeline(pipeline=COPY)
    run = lab.play("playbooks/verify.yml")
    assert run.code != 0
    assert "pipeline default/copy is not as declared: site.yml would create it" in run.text

    lab.client.pfs.create_repo(repo=pfs.Repo.from_uri("other"))
    run = lab.play("playbooks/verify.yml", pachyderm_workflow_repos=[{"name": "other"}, {"name": "gone"}])
    assert run.code != 0
    assert "repo default/gone is declared and does not exist" in run.text


@pytest.mark.slow
def test_verify_counts_declared_pipelines_only_and_prints_no_spec(lab: Lab) -> None:
    lab.up()
    failing = PIPELINES[0] | {
        "pipeline": {"name": "broken"},
        "transform": {"cmd": ["sh", "-c", "exit 3"], "env": {"API": "hunter2"}},
    }
    created = json.dumps(failing | {"pipeline": {"name": "broken", "project": {"name": "default"}}})
    lab.client.pps.create_pipeline_v2(create_pipeline_request_json=created)
    broken = pps.Pipeline(name="broken", project=pfs.Project(name="default"))
    for info in lab.client.pps.list_job(pipeline=broken):
        lab.client.pps.inspect_job(job=info.job, wait=True)
    assert lab.play("playbooks/verify.yml").code == 0

    run = lab.play("playbooks/verify.yml", pachyderm_workflow_pipelines=[*PIPELINES, failing])
    assert run.code != 0
    assert re.search(
        r"pipeline default/broken is PIPELINE_RUNNING; its newest job [0-9a-f]{32} is JOB_FAILURE: datum ",
        run.text,
    )
    assert "hunter2" not in run.output
    assert not re.search(r"pipeline default/.* $", run.output, re.MULTILINE)


@pytest.mark.slow
def test_a_pipeline_whose_input_was_cut_off_fails_verify_until_site_mends_it(lab: Lab) -> None:
    lab.up()
    data = pfs.Repo.from_uri("data")
    lab.client.pfs.delete_repo(repo=data, force=True)
    lab.client.pfs.create_repo(repo=data, description="Tabular data sets, one CSV file each")
    run = lab.play("playbooks/verify.yml", warned=True)
    assert run.code != 0
    assert "pipeline default/copy is not as declared: site.yml would update it" in run.text
    assert lab.play(warned=True).code == 0
    assert lab.play("playbooks/verify.yml").code == 0


def test_the_report_of_a_lab_that_is_away_says_so(lab: Lab) -> None:
    run = lab.play("playbooks/report.yml", lab_report_timeout=1)
    assert run.code == 0, run.output
    report = json.loads((lab.directory / "report.json").read_text())
    assert "Connection refused" in report["pachyderm"]["error"]
    assert (report["nodes"], report["cluster"], report["changes"]) == ([], None, [])


@pytest.mark.slow
def test_a_stopped_pipeline_is_named_and_started_when_asked(lab: Lab) -> None:
    lab.up()
    lab.client.pps.stop_pipeline(pipeline=COPY)
    run = lab.play("playbooks/verify.yml")
    assert run.code != 0
    assert (
        "pipeline default/copy is stopped; site.yml starts it with pachyderm_workflow_start=true" in run.text
    )
    assert lab.up(pachyderm_workflow_start=True).recap("changed") == 2  # the pipeline, the report
    assert lab.play("playbooks/verify.yml").code == 0


def test_two_servers_in_one_inventory_are_predicted_each_for_itself(lab: Lab) -> None:
    inventory = lab.directory / "hosts.yml"
    machines = {}
    for name in ("up", "down"):
        address = f"127.0.0.1:{free_port()}"
        machines[name] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "pachyderm_embedded_data_dir": str(lab.pachd if name == "up" else lab.directory / name),
            "pachyderm_embedded_address": address,
            "pachyderm_workflow_pachd_address": f"grpc://{address}",
            "pachyderm_workflow_repos": [{"name": f"of-{name}"}],
            "pachyderm_workflow_data": [{"src": str(lab.data), "repo": f"of-{name}"}],
        }
    hosts: dict[str, Any] = {"hosts": dict.fromkeys(machines)}
    groups = {"all": {"hosts": machines}, "pachyderm_embedded": hosts, "workflow": hosts}
    inventory.write_text(json.dumps(groups))
    lab.variables = {}
    arguments = ("--inventory", str(inventory))
    assert lab.play("playbooks/pachyderm.yml", *arguments, "--limit", "up").code == 0
    run = lab.play("site.yml", *arguments, "--check")
    assert run.code == 0, run.output
    assert "would create repo default/of-down" in run.text
    assert "would create repo default/of-up" not in run.text
    assert re.search(r"changed: \[up\]", run.output)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"pachyderm_workflow_fetch": [{"repo": "copy", "dest": "out"}]},
            "pachyderm_workflow_fetch: dest: out",
        ),
        ({"pachyderm_workflow_data": [{"repo": "data", "src": "in"}]}, "pachyderm_workflow_data: src: in"),
        ({"pachyderm_workflow_pipelines": [{"src": "p.yml"}]}, "pachyderm_workflow_pipelines: src: p.yml"),
    ],
)
def test_relative_paths_are_refused(lab: Lab, variables: dict[str, Any], message: str) -> None:
    run = lab.play("--check", "site.yml", **variables)
    assert run.code != 0
    assert f"{message}: give the whole path" in run.text

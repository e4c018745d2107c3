# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pachyderm_workflow, killed between two tasks: the next run leaves what an undisturbed one does.

A few rounds by default; KILL_ROUNDS=10 makes as many.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ansible_runs import LOCAL, ROOT, ansible

from .fault_labs import TOKEN, FaultLab, what_is_there
from .test_workflow_kinds import PLAY, declared

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
SEED = 7


class Workflow:
    """A lab, and the role with every kind that it can declare."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        source = directory / "source"
        (source / "data").mkdir(parents=True)
        (source / "data/a").write_text("A")
        (source / "key").write_text("key")
        self.lab = FaultLab(directory, capsys)
        variables = declared(self.lab, source) | {
            "pachyderm_workflow_auth_token": TOKEN,
            "pachyderm_workflow_fetch": [{"repo": "copy", "dest": str(directory / "dest")}],
        }
        (directory / "play.yml").write_text(PLAY)
        (directory / "variables.json").write_text(json.dumps(variables))

    def run(self, kill_at: str = "") -> tuple[int, list[str]]:
        """Exit status, and the names of the tasks whose end was seen; killed where a task starts."""
        events = self.directory / "events"
        events.write_text("")
        done = ansible(
            "playbook",
            *(*LOCAL, "-e", "@variables.json", "play.yml"),
            home=self.directory,
            ANSIBLE_CALLBACK_PLUGINS=str(ROOT / "tests/nodes/plugins/callback"),
            ANSIBLE_CALLBACKS_ENABLED="events",
            NODES_EVENTS=str(events),
            NODES_KILL_AT=kill_at,
        )
        assert done.returncode in (0, -9), done.stdout + done.stderr
        ended = [json.loads(line)["task"].split(" : ")[-1] for line in events.read_text().splitlines()]
        return done.returncode, ended


@pytest.fixture
def workflow(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> Callable[[], Any]:
    @contextmanager
    def one() -> Iterator[Workflow]:
        made = Workflow(tmp_path_factory.mktemp("workflow"), capsys)
        try:
            yield made
        finally:
            made.lab.server.stop(grace=0)

    return one


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_next_one(workflow: Callable[[], Any]) -> None:
    with workflow() as undisturbed:
        status, tasks = undisturbed.run()
        assert status == 0
        left = what_is_there(undisturbed.lab)
    # Before the first one there is nothing to be finished.
    for kill_at in random.Random(SEED).sample(tasks[1:], ROUNDS):
        with workflow() as killed:
            status, ended = killed.run(kill_at)
            assert (status, kill_at in ended) == (-9, False)
            assert killed.run()[0] == 0
            assert what_is_there(killed.lab) == left, kill_at

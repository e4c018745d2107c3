#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_job."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_job
short_description: Run pipelines of Pachyderm, and wait for, stop or restart their jobs
version_added: 1.0.0
description:
  - Runs pipelines that are there, waits for jobs or for all jobs of a commit set, stops jobs, and has failed
    datums done again.
  - A job that did not succeed fails the task. The error tells its state, its reason, the datum with its input
    files, and the last log lines; the result holds up to ten failed datums with their inputs and exit codes.
    Of a job that could not run since one upstream failed, it names that one.
  - When the time is over, the error says what a job waits for, a GPU, its image, its egress, cpu or memory,
    a job upstream, or an earlier job of the same pipeline. Pachyderm itself calls a pipeline CRASHING also
    while a pod merely waits, so that alone is no failure.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._connection
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Nothing is run, stopped or waited for.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Each O(action=run) makes new jobs. V(stop) and V(restart) do nothing where nothing is to be stopped or
        has failed, V(wait) only reads.
options:
  action:
    description:
      - V(run) makes a new job. It does what was not done successfully before; all, with O(reprocess).
      - V(wait) waits for jobs to end.
      - V(stop) ends jobs that have not ended. Their datums that are done stay done.
      - V(restart) has failed datums done again. For a job that has failed or was stopped it is like V(run);
        in a job that runs it starts the datums at work again; after a success it does nothing.
      - Pachyderm itself has no call for V(run). A pipeline with a cron input gets a tick. Any other gets an
        empty commit in the first branch that its data comes from, directly or through other pipelines;
        B(pipelines that read this branch as well get a job, too), in which all datums that are done already
        are skipped.
    type: str
    required: true
    choices: [run, wait, stop, restart]
  pipeline:
    description:
      - The pipeline whose job is meant.
      - Without O(id) it is the newest one, or with O(action=stop) each that has not ended.
    type: str
  project:
    description:
      - Project of the pipeline.
    type: str
    default: default
  id:
    description:
      - Id of the job, which is that of the commit that it reads or writes.
      - Without O(pipeline), all jobs of this commit set are meant, in the order of their inputs.
    type: str
  jobs:
    description:
      - Several at once.
    type: list
    elements: dict
    suboptions:
      pipeline:
        description: As O(pipeline).
        type: str
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      id:
        description: As O(id).
        type: str
  reprocess:
    description:
      - With O(action=run), process all datums anew. Pachyderm makes a new version of the pipeline with the
        same spec for it, so B(a job that runs is killed).
    type: bool
    default: false
  reason:
    description:
      - With O(action=stop), what the job and its output commit give as their reason.
    type: str
    default: stopped by pachyderm_job
  datums:
    description:
      - With O(action=restart) of a job that runs, only datums that have all of these input files, as paths or
        hashes. Without it, all that are at work.
    type: list
    elements: str
    default: []
  wait:
    description:
      - With O(action=run) and O(action=restart), wait for the jobs to end.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for all jobs together.
    type: float
    default: 600.0
seealso:
  - module: gpulab.pachyderm.pachyderm_pipeline
  - module: gpulab.pachyderm.pachyderm_commit
  - module: gpulab.pachyderm.pachyderm_info
"""

EXAMPLES = r"""
- name: Work on Pachyderm
  hosts: localhost
  gather_facts: false
  module_defaults:
    group/gpulab.pachyderm.pachyderm:
      pachd_address: grpc://127.0.0.1:30650
  tasks:
    - name: Run two pipelines, and wait for their jobs
      gpulab.pachyderm.pachyderm_job:
        action: run
        jobs:
          - pipeline: train
          - pipeline: leaderboard

    - name: Wait until everything that a commit has set off is done
      gpulab.pachyderm.pachyderm_job:
        action: wait
        id: 5a7ae0e22a8d4e0a9d57d3ed1a8ed5a9
        wait_timeout: 3600

    - name: Try what has failed once more
      gpulab.pachyderm.pachyderm_job:
        action: restart
        pipeline: train

    - name: Stop what runs
      gpulab.pachyderm.pachyderm_job:
        action: stop
        pipeline: train
        reason: the GPUs are needed for the course

    - name: Process all data of a project's pipeline anew, and do not wait for it
      gpulab.pachyderm.pachyderm_job:
        action: run
        project: vision
        pipeline: segment
        reprocess: true
        wait: false

    - name: Start the datum again that hangs
      gpulab.pachyderm.pachyderm_job:
        action: restart
        pipeline: train
        datums: [/iris.csv]
"""

RETURN = r"""
actions:
  description: What was done; in check mode what would be.
  returned: always
  type: list
  elements: dict
  sample: [{action: run, kind: job, name: default/train}]
jobs:
  description:
    - The jobs that were waited for or looked at, as they are at the end. Not in check mode.
    - Keys beside those below are as in M(gpulab.pachyderm.pachyderm_pipeline).
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Id of the job.
      type: str
    project:
      description: Project of the pipeline.
      type: str
    pipeline:
      description: Name of the pipeline.
      type: str
    state:
      description: State in Pachyderm's own words.
      type: str
      sample: JOB_SUCCESS
    reason:
      description: Why it is in this state, if pachd tells.
      type: str
    datums:
      description: How many datums were processed, skipped, failed, recovered, and how many there are in all.
      type: dict
    logs:
      description: Of a job that failed or was killed, the last lines that its code wrote, at most 20.
      type: list
      elements: str
    failed_datums:
      description: Of a job that failed or was killed, the datums that failed, at most ten.
      type: list
      elements: dict
      contains:
        id:
          description: Id of the datum.
          type: str
        inputs:
          description: Its input files, as repo and path.
          type: list
          elements: str
        exit_code:
          description: Exit code of the last try. Null where it did not end by itself or its log is gone.
          type: int
        error:
          description: How the last try ended, in the worker's own words.
          type: str
      sample:
        - {id: 3f1c..., inputs: ["data:/a"], exit_code: 3, error: exit status 3}
    upstream:
      description: Of a job that is JOB_UNRUNNABLE, the jobs upstream that failed.
      type: list
      elements: dict
    waits_for:
      description: Of a job that has not ended in time, V(gpu), V(image), V(egress), V(resources),
        V(upstream), V(queue), or an empty text if its code runs.
      type: str
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._job_actions import parse_jobs, run_jobs
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

ARGUMENTS: dict[str, Any] = {
    "action": {"type": "str", "required": True, "choices": ["run", "wait", "stop", "restart"]},
    "pipeline": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "id": {"type": "str"},
    "jobs": {
        "type": "list",
        "elements": "dict",
        "options": {"pipeline": {"type": "str"}, "project": {"type": "str"}, "id": {"type": "str"}},
    },
    "reprocess": {"type": "bool", "default": False},
    "reason": {"type": "str", "default": "stopped by pachyderm_job"},
    "datums": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "float", "default": 600.0},
}


def main() -> None:
    either = [("pipeline", "jobs"), ("id", "jobs")]
    run_module(
        ARGUMENTS,
        parse_jobs,
        run_jobs,
        mutually_exclusive=either,
        required_one_of=[("pipeline", "id", "jobs")],
    )


if __name__ == "__main__":
    main()

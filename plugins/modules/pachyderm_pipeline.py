#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_pipeline."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_pipeline
short_description: Manage pipelines of Pachyderm
version_added: 1.0.0
description:
  - Creates, updates, starts, stops and deletes pipelines, and waits for their jobs.
  - Takes a spec, a file of specs, or a list of both, and puts them into the order in which they read each
    other's output.
  - Several pipelines, and the repos that O(create_repos) makes for them, are written in one transaction, so
    that either all of them are there or, when pachd refuses one, none. Only where a new pipeline, or one with
    a new input, reads what another one makes that is updated in the same task, the updates are one
    transaction and it is in a second one, since its first job would get old data otherwise.
  - Compares the spec that pachd would make of the declared one, by a dry run, with the one that the pipeline
    has. If they mean the same, nothing is sent; pachd itself would make a new version, start all workers
    again and kill running jobs.
  - Specs of Pachyderm 1.x are converted. Each thing that is converted or dropped is a warning, and so are
    fixed file names that several datums would write.
  - Where an input repo was deleted with force and made again, the output branch has lost its provenance, and
    no job would ever run on the new data. Such a pipeline is updated with the spec that it has, and a warning
    says so. One of which only O(name) is given is not updated.
  - A spec that asks for more GPUs for each worker than the cluster has is refused before anything is written,
    if the cluster says how many it has, as the number C(gpulab.gpus) in the metadata of the cluster. The
    embedded pachd says it; elsewhere an administrator can set it.
  - What is printed never holds a value of C(transform.env). Ansible itself still sends options to the log of
    the host where the module runs; give a secret as a secret of Kubernetes, by C(transform.secrets).
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
      - Uses pachd's own dry run. A project, an input repo or a secret that does not exist is a warning in
        check mode, where an earlier task may be about to create it, and an error otherwise. Jobs are not
        waited for.
  diff_mode:
    support: full
    details:
      - Shows whole specs, without the values of C(transform.env). Each is V((hidden\)), and
        V((hidden, changed\)) after a change. Where the spec is the same and only the provenance of the
        output branch is mended, it shows that too, as C(provenance).
  idempotent:
    support: full
options:
  pipeline:
    description:
      - A pipeline spec, with the fields that Pachyderm documents, in camelCase or in snake_case.
      - Exactly one of O(pipeline), O(src), O(pipelines) and O(name) is required.
    type: dict
  src:
    description:
      - File with pipeline specs, on the host where the module runs, in JSON or YAML. It holds what
        C(pachctl) takes, one spec, a list of specs, several YAML documents, or JSON texts in a row.
    type: path
  pipelines:
    description:
      - Several pipelines at once. Each item is a spec, or only C(src) with the path of a file,
        or only C(name) (and C(project)) where O(state) is not V(present).
    type: list
    elements: dict
  name:
    description:
      - Name of a pipeline that is to be started, stopped or deleted as it is.
    type: str
  project:
    description:
      - Project of each pipeline whose spec names none.
    type: str
    default: default
  state:
    description:
      - V(present) makes sure that the pipelines exist with these specs. One that is stopped stays so.
      - V(started) and V(stopped) make sure of that, too, and start or stop them.
        Stopping B(kills the running job), and frees GPUs.
      - V(absent) deletes them B(with their output repos and all results in them), downstream ones first.
    type: str
    choices: [present, started, stopped, absent]
    default: present
  reprocess:
    description:
      - When a pipeline is updated, process all datums again, also those that were processed already.
        Without it Pachyderm keeps their old results, even if the code has changed; a warning says so then.
      - Does nothing to a pipeline that does not differ.
    type: bool
    default: false
  force:
    description:
      - With O(state=absent), delete pipelines although others read their output.
        B(Those have no input any more).
    type: bool
    default: false
  keep_repo:
    description:
      - With O(state=absent), keep the output repos, with all results in them, as ordinary repos.
      - A pipeline of the same name cannot be created again before its repo is deleted.
    type: bool
    default: false
    version_added: 1.0.0
  create_repos:
    description:
      - Create repos that the pipelines read and that do not exist, in the same transaction. Without it, a
        repo that does not exist is an error, since it may be a slip of the pen.
    type: bool
    default: false
    version_added: 1.0.0
  wait:
    description:
      - Wait for the newest job of each pipeline, whether or not anything was changed, upstream ones first.
        The task fails if one did not succeed, with its state, its reason, the input files of the datum that
        failed, and the last log lines of its last try.
      - A pachd that does not answer for longer than O(timeout) ends the wait with an error.
      - Only with O(state=present) and O(state=started). Stopped pipelines, services and spouts are not waited
        for.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait for all jobs together. A pipeline that waits for a GPU, or for an image that is not
        there, has a job that never starts; the reason is in the message when the time is over.
    type: float
    default: 600.0
seealso:
  - module: gpulab.pachyderm.pachyderm_sync
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
    - name: Run the GPU pipeline of the tutorial on the data, and wait for its result
      gpulab.pachyderm.pachyderm_pipeline:
        pipeline:
          pipeline:
            name: gpu
          transform:
            image: novella/tensorflow-pachyderm:gputest
            cmd: [/bin/bash]
            stdin:
              - set -e
              - python /code/gpu.py > /pfs/out/output-logs.txt
              - ls /pfs/data > /pfs/out/input-data.txt
          resource_limits:
            memory: 1G
            gpu:
              type: nvidia.com/gpu
              number: 1
          input:
            pfs:
              repo: data
              glob: /
        wait: true

    - name: Take the same from the tutorial's own file, which is of Pachyderm 1.x
      gpulab.pachyderm.pachyderm_pipeline:
        src: /srv/lab/examples/gpu/gpu-1.x.json

    - name: Several pipelines, and process everything again if one of them differs
      gpulab.pachyderm.pachyderm_pipeline:
        pipelines:
          - src: /srv/lab/pipelines/leaderboard.yaml
          - src: /srv/lab/pipelines/train.yaml
        create_repos: true
        reprocess: true

    - name: Free the GPUs
      gpulab.pachyderm.pachyderm_pipeline:
        name: gpu
        state: stopped

    - name: Delete the pipeline, and keep its results
      gpulab.pachyderm.pachyderm_pipeline:
        name: gpu
        state: absent
        keep_repo: true

    - name: Declare a project's pipeline, and give its job an hour
      gpulab.pachyderm.pachyderm_pipeline:
        project: vision
        src: /srv/lab/pipelines/segment.yaml
        wait: true
        wait_timeout: 3600

    - name: Delete a pipeline that others read
      gpulab.pachyderm.pachyderm_pipeline:
        name: old
        state: absent
        force: true
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: always
  type: list
  elements: dict
  sample:
    - {action: create, kind: repo, name: default/data}
    - {action: create, kind: pipeline, name: default/gpu}
pipelines:
  description: The declared pipelines as pachd has them now, in the order of their inputs.
  returned: success, and when a job has failed
  type: list
  elements: dict
  contains:
    project:
      description: Project of the pipeline.
      type: str
    name:
      description: Name of the pipeline.
      type: str
    actions:
      description: What was done to it, or in check mode would be. Some of V(create), V(update), V(start),
        V(stop), V(delete), or nothing.
      type: list
      elements: str
    version:
      description: Version of the spec, counted from 1. Null if there is no such pipeline.
      type: int
    state:
      description: State in Pachyderm's own words. Null if there is no such pipeline.
      type: str
      sample: PIPELINE_RUNNING
    reason:
      description: Why it is in this state, if pachd tells.
      type: str
    stopped:
      description: Whether it was stopped. Null if there is no such pipeline.
      type: bool
jobs:
  description: The jobs that were waited for. The last one is the one that failed, if one did.
  returned: success, and when a job has failed
  type: list
  elements: dict
  contains:
    id:
      description: Id of the job, which is that of the commits it reads and writes.
      type: str
    project:
      description: Project of the pipeline.
      type: str
    pipeline:
      description: Name of the pipeline.
      type: str
    pipeline_version:
      description: Version of the spec that the job ran.
      type: int
    state:
      description: State in Pachyderm's own words.
      type: str
      sample: JOB_SUCCESS
    reason:
      description: Why it is in this state, if pachd tells.
      type: str
    datums:
      description: How many datums were processed, skipped since they had been processed before, failed,
        recovered by the error command, and how many there are in all.
      type: dict
      sample: {processed: 1, skipped: 4, failed: 0, recovered: 0, total: 5}
    created:
      description: When pachd made the job, in ISO 8601.
      type: str
    started:
      description: When a worker took it. Null if none has.
      type: str
    finished:
      description: When it ended. Null if it has not.
      type: str
    logs:
      description: Of a job that failed, the last lines that its code wrote, at most 20. If pachd names the
        datum that failed, they are those of the last try at it.
      type: list
      elements: str
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._pipelines import parse_task, run_task
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

ARGUMENTS: dict[str, Any] = {
    "pipeline": {"type": "dict"},
    "src": {"type": "path"},
    "pipelines": {"type": "list", "elements": "dict"},
    "name": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "state": {"type": "str", "choices": ["present", "started", "stopped", "absent"], "default": "present"},
    "reprocess": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "keep_repo": {"type": "bool", "default": False},
    "create_repos": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "float", "default": 600.0},
}


def main() -> None:
    either = [("pipeline", "src", "pipelines", "name")]
    run_module(ARGUMENTS, parse_task, run_task, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

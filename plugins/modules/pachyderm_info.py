#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_info
short_description: Read what Pachyderm holds
version_added: 0.1.0
description:
  - Returns projects, repos, branches, pipelines, jobs, and files of a branch, with content if it is small.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._connection
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.info
  - gpulab.pachyderm._attributes.actiongroup
options:
  gather:
    description:
      - What to return. V(files) needs O(repo).
    type: list
    elements: str
    choices: [projects, repos, branches, pipelines, jobs, files]
    default: [repos, pipelines, jobs]
  project:
    description:
      - Only what is in this project. Files are read from project V(default) if this is not given.
    type: str
  repo:
    description:
      - Only this repo, its branches, its files.
    type: str
  branch:
    description:
      - Branch whose head the files are read from.
    type: str
    default: master
  pipeline:
    description:
      - Only this pipeline and its jobs.
    type: str
  glob:
    description:
      - Which files to return, as a glob pattern of Pachyderm.
    type: str
    default: /**
  content:
    description:
      - Return the content of files, too.
    type: bool
    default: false
  max_content_bytes:
    description:
      - Return no content of files that are longer than this.
    type: int
    default: 65536
  max_jobs:
    description:
      - How many jobs to return at most, newest first, of the current version of each pipeline.
    type: int
    default: 100
seealso:
  - module: gpulab.pachyderm.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Look at the lab
  gpulab.pachyderm.pachyderm_info:
  register: lab

- name: Name the pipelines that do not run
  ansible.builtin.debug:
    msg: "{{ lab.pipelines | rejectattr('state', 'equalto', 'PIPELINE_RUNNING') | map(attribute='name') }}"

- name: Read what the GPU pipeline has written
  gpulab.pachyderm.pachyderm_info:
    gather: [files]
    repo: gpu
    glob: /*.txt
    content: true
  register: outputs
"""

RETURN = r"""
projects:
  description: The projects, each with C(name), C(description) and C(created).
  returned: if O(gather) has V(projects)
  type: list
  elements: dict
  sample: [{name: default, description: "", created: "2026-01-31T12:00:00+00:00"}]
repos:
  description: The repos of users and pipelines, not those that Pachyderm keeps for itself.
  returned: if O(gather) has V(repos)
  type: list
  elements: dict
  contains:
    project:
      description: Project that holds the repo.
      type: str
    name:
      description: Name of the repo.
      type: str
    description:
      description: Its text.
      type: str
    size_bytes:
      description: Size of the head of its master branch; at times an upper bound of it.
      type: int
    branches:
      description: Names of its branches.
      type: list
      elements: str
    created:
      description: When it was created, in ISO 8601.
      type: str
branches:
  description: The branches of these repos.
  returned: if O(gather) has V(branches)
  type: list
  elements: dict
  contains:
    project:
      description: Project of the repo.
      type: str
    repo:
      description: Repo of the branch.
      type: str
    name:
      description: Name of the branch.
      type: str
    head:
      description: Id of its newest commit.
      type: str
    provenance:
      description: The branches it takes its data from, each with C(project), C(repo) and C(branch).
      type: list
      elements: dict
pipelines:
  description: The pipelines, newest first.
  returned: if O(gather) has V(pipelines)
  type: list
  elements: dict
  contains:
    project:
      description: Project of the pipeline.
      type: str
    name:
      description: Name of the pipeline.
      type: str
    version:
      description: Version of its spec, counted from 1.
      type: int
    state:
      description: State in Pachyderm's own words. C(PIPELINE_CRASHING) may only mean that it waits for a GPU.
      type: str
      sample: PIPELINE_RUNNING
    reason:
      description: Why it is in this state, if pachd tells.
      type: str
    stopped:
      description: Whether it was stopped.
      type: bool
    last_job_state:
      description: State of its newest job.
      type: str
      sample: JOB_SUCCESS
    workers_requested:
      description: Workers it wants.
      type: int
    workers_available:
      description: Workers it has.
      type: int
    spec:
      description: The spec, with the defaults of the cluster in it, names in camelCase, and V((hidden\))
        in place of each value of C(transform.env).
      type: dict
jobs:
  description: The jobs of these pipelines, newest first.
  returned: if O(gather) has V(jobs)
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
      description: How many datums were processed, skipped, failed, recovered, and how many there are in all.
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
files:
  description: Files and directories that match O(glob).
  returned: if O(gather) has V(files)
  type: list
  elements: dict
  contains:
    path:
      description: Path in the branch. That of a directory ends with a slash.
      type: str
    type:
      description: V(file) or V(directory).
      type: str
    size_bytes:
      description: Size; of a directory that of all in it.
      type: int
    hash:
      description: Hash that PFS keeps of the content, in hexadecimal.
      type: str
    content:
      description: The content, if O(content) asks for it and it is not too long.
      returned: with O(content=true)
      type: str
    encoding:
      description: V(utf-8), or V(base64) if the content is no text.
      returned: with O(content=true)
      type: str
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._info import parse_query, run_query
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

KINDS = ["projects", "repos", "branches", "pipelines", "jobs", "files"]
ARGUMENTS: dict[str, Any] = {
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": KINDS,
        "default": ["repos", "pipelines", "jobs"],
    },
    "project": {"type": "str"},
    "repo": {"type": "str"},
    "branch": {"type": "str", "default": "master"},
    "pipeline": {"type": "str"},
    "glob": {"type": "str", "default": "/**"},
    "content": {"type": "bool", "default": False},
    "max_content_bytes": {"type": "int", "default": 65536},
    "max_jobs": {"type": "int", "default": 100},
}


def main() -> None:
    run_module(ARGUMENTS, parse_query, run_query)


if __name__ == "__main__":
    main()

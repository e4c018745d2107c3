#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_info
short_description: Read what Pachyderm holds
version_added: 1.0.0
description:
  - Returns projects, repos, branches, commits, files, what data was made from, pipelines, jobs, datums, logs,
    defaults and roles, or what a JMESPath expression finds in them.
  - The project, O(job), O(glob), O(datum_states) and the limits are filtered by pachd, so that a large lab is
    not sent whole. Of projects, repos and pipelines the list is sent, and what is named is taken from it.
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
      - What to return. V(files) and V(provenance) need O(repo); V(datums) and V(logs) need O(pipeline).
    type: list
    elements: str
    choices: [projects, repos, branches, commits, files, provenance, pipelines, jobs, datums, logs, defaults,
      role_bindings]
    default: [repos, pipelines, jobs]
  project:
    description:
      - Only what is in this project. Commits, files, provenance, datums and logs are of project V(default) if
        this is not given.
    type: str
  repo:
    description: Only this repo, its branches, commits, files and roles.
    type: str
  branch:
    description: Branch whose head the files, the commits and the provenance are those of.
    type: str
    default: master
  commit:
    description: Id of a commit to take in place of the head of O(branch).
    type: str
  pipeline:
    description: Only this pipeline, its jobs, datums and logs.
    type: str
  job:
    description:
      - Only the jobs with this id, of each pipeline one, of any version. Datums and logs are those of the one
        of O(pipeline); of its newest job if this is not given.
    type: str
  datum:
    description: Id of a datum of O(job); the logs are only those of it.
    type: str
  datum_states:
    description: Only datums in one of these states.
    type: list
    elements: str
    choices: [failed, success, skipped, starting, recovered]
  glob:
    description: Which files to return, as a glob pattern of Pachyderm.
    type: str
    default: /**
  content:
    description: Return the content of files, too.
    type: bool
    default: false
  env:
    description:
      - Return the values of C(transform.env) in specs and defaults, too, which may be secrets. Use C(no_log).
    type: bool
    default: false
  max_content_bytes:
    description: Return no content of files that are longer than this.
    type: int
    default: 65536
  max_commits:
    description: How many commits to return at most, newest first; of the provenance, in each direction.
    type: int
    default: 100
  max_jobs:
    description: How many jobs to return at most, newest first, of the current version of each pipeline.
    type: int
    default: 100
  max_datums:
    description: How many datums to return at most.
    type: int
    default: 1000
  max_log_lines:
    description: How many lines of the log to return at most, the last ones.
    type: int
    default: 1000
  query:
    description:
      - A L(JMESPath,https://jmespath.org) expression over the return values. What it finds is returned as
        RV(result), and nothing else is.
      - It needs the Python library jmespath where the module runs.
    type: str
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
    branch: nightly
    glob: /*.txt
    content: true
    max_content_bytes: 1000
  register: outputs

- name: Ask pachd what the failed datums of the newest job read, and nothing else
  gpulab.pachyderm.pachyderm_info:
    gather: [datums]
    pipeline: gpu
    datum_states: [failed]
    max_datums: 100
    query: datums[].files[]
  register: suspects

- name: Name all data that the output was made from
  gpulab.pachyderm.pachyderm_info:
    gather: [provenance]
    repo: gpu
    commit: 5a7ae0e22a8d4e0a9d57d3ed1a8ed5a9
    max_commits: 10
    query: provenance.upstream[].join('@', [repo, id])
  register: sources

- name: Read what the code wrote for one datum, and the spec with the values of its environment
  gpulab.pachyderm.pachyderm_info:
    gather: [logs, jobs, pipelines]
    project: vision
    pipeline: segment
    job: 5a7ae0e22a8d4e0a9d57d3ed1a8ed5a9
    datum: 3f1c0e9a5d7b4c2e8a6f0b1d2c3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e
    max_log_lines: 20
    max_jobs: 1
    env: true
  no_log: true
"""

RETURN = r"""
result:
  description: What O(query) finds in the values below, which are not returned then. Null if it finds nothing.
  returned: if O(query) is given
  type: raw
  sample: [gpu, train]
projects:
  description: The projects, each with C(name), C(description), C(metadata) and C(created).
  returned: if O(gather) has V(projects)
  type: list
  elements: dict
  sample: [{name: default, description: "", metadata: {}, created: "2026-01-31T12:00:00+00:00"}]
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
    metadata:
      description: Keys and values that are kept for it.
      type: dict
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
    trigger:
      description: When it follows another branch, as M(gpulab.pachyderm.pachyderm_branch) takes it, or null.
      type: dict
    metadata:
      description: Keys and values that are kept for it.
      type: dict
commits:
  description:
    - The commit and those before it, newest first; without O(repo), the newest ones of all repos.
    - Each has C(project), C(repo), C(id), C(parent) (an id, or null), C(origin) (V(USER) or V(AUTO)),
      C(description), C(error) (why its files cannot be used, if so), C(size_bytes) (at times an upper bound),
      C(started) and C(finished) (null while open).
    - C(provenance) are the commits that it was made from directly, each with C(project), C(repo) and C(id).
  returned: if O(gather) has V(commits)
  type: list
  elements: dict
provenance:
  description: Commits of other repos that the commit was made from, and that were made from it.
  returned: if O(gather) has V(provenance)
  type: dict
  contains:
    upstream:
      description: What it was made from, near ones first, each as in RV(commits).
      type: list
      elements: dict
    downstream:
      description: What was made from it, near ones first, each as in RV(commits).
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
        in place of each value of C(transform.env) unless O(env) is set.
      type: dict
    user_spec:
      description: The spec as its user gave it, without flags such as C(update); O(env) holds for it, too.
      type: dict
    metadata:
      description: Keys and values that are kept for it.
      type: dict
jobs:
  description:
    - The jobs of these pipelines, newest first, each with C(id) (that of the commits it reads and writes),
      C(project), C(pipeline), C(pipeline_version), C(state) in Pachyderm's own words, C(reason), and, in ISO
      8601 or null, C(created), C(started) and C(finished).
    - C(datums) counts those that were C(processed), C(skipped), C(failed), C(recovered), and the C(total).
  returned: if O(gather) has V(jobs)
  type: list
  elements: dict
datums:
  description:
    - Datums of the job, each with C(id), the id of its C(job), its C(state) in Pachyderm's words, its input
      C(files) as C(project/repo:/path), C(download_bytes) and C(upload_bytes) of its worker, and
      C(process_seconds) of user code.
  returned: if O(gather) has V(datums)
  type: list
  elements: dict
logs:
  description:
    - Lines of the job's log, oldest first; without Loki they are gone with the worker. Each has C(time),
      C(message), the ids of C(job) and C(datum), C(worker), and C(user), whether user code wrote it.
  returned: if O(gather) has V(logs)
  type: list
  elements: dict
defaults:
  description:
    - Defaults of the cluster, whose C(project) is null, and of projects, where there are any, with C(spec) as
      M(gpulab.pachyderm.pachyderm_defaults) takes them.
  returned: if O(gather) has V(defaults)
  type: list
  elements: dict
role_bindings:
  description:
    - Who has which roles, as M(gpulab.pachyderm.pachyderm_role_binding) takes it. Empty while authentication
      is not active.
  returned: if O(gather) has V(role_bindings)
  type: list
  elements: dict
  sample: [{type: repo, project: default, name: data, roles: {"robot:ci": [repoReader]}}]
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

from ansible_collections.gpulab.pachyderm.plugins.module_utils._info import READERS, parse_query, run_query
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

STATES = ["failed", "success", "skipped", "starting", "recovered"]
ARGUMENTS: dict[str, Any] = {
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": list(READERS),
        "default": ["repos", "pipelines", "jobs"],
    },
    "project": {"type": "str"},
    "repo": {"type": "str"},
    "branch": {"type": "str", "default": "master"},
    "commit": {"type": "str"},
    "pipeline": {"type": "str"},
    "job": {"type": "str"},
    "datum": {"type": "str"},
    "datum_states": {"type": "list", "elements": "str", "choices": STATES},
    "glob": {"type": "str", "default": "/**"},
    "content": {"type": "bool", "default": False},
    "env": {"type": "bool", "default": False},
    "max_content_bytes": {"type": "int", "default": 65536},
    "max_commits": {"type": "int", "default": 100},
    "max_jobs": {"type": "int", "default": 100},
    "max_datums": {"type": "int", "default": 1000},
    "max_log_lines": {"type": "int", "default": 1000},
    "query": {"type": "str"},
}


def main() -> None:
    run_module(ARGUMENTS, parse_query, run_query)


if __name__ == "__main__":
    main()

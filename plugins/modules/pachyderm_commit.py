#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_commit."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_commit
short_description: Start, finish, squash, drop and wait for commits of Pachyderm
version_added: 1.0.0
description:
  - Works on single commits, for example so that what several tasks write into a branch becomes one commit; or
    on whole commit sets, which is a commit together with all that it has set off downstream.
  - M(gpulab.pachyderm.pachyderm_sync) makes its commits itself.
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
      - Nothing is waited for. What pachd alone can refuse, for example to drop a commit that has children, is
        not foreseen.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  action:
    description:
      - V(start) opens a commit on a branch. One that is open already stays, and is returned.
      - V(finish) finishes a commit, and waits until pachd has. One that is finished stays.
      - V(squash) deletes a commit set and B(keeps its files) in the commits after it. V(drop) deletes the
        newest commits of their branches B(with the files that came with them). What is not there needs no
        change.
      - V(wait) waits until commits are finished. For their jobs see M(gpulab.pachyderm.pachyderm_job).
      - With V(finish) and V(wait), a commit that has an error fails the task.
    type: str
    required: true
    choices: [start, finish, squash, drop, wait]
  repo:
    description:
      - Repo of the commit. Not with O(action=squash) and O(action=drop), which take whole commit sets.
    type: str
  project:
    description:
      - Project of the repo.
    type: str
    default: default
  branch:
    description:
      - Branch whose head is meant if no O(id) is given, or on which a commit is started. It is made if
        need be.
    type: str
    default: master
  id:
    description:
      - Id of the commit. Without O(repo), of the commit set.
    type: str
  commits:
    description:
      - Several at once.
    type: list
    elements: dict
    suboptions:
      repo:
        description: As O(repo).
        type: str
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      branch:
        description: As O(branch), which also holds where this is not given.
        type: str
      id:
        description: As O(id).
        type: str
  description:
    description:
      - With O(action=start) and O(action=finish), the text of the commit.
    type: str
  wait_timeout:
    description:
      - Seconds to wait for each commit to be finished.
    type: float
    default: 600.0
seealso:
  - module: gpulab.pachyderm.pachyderm_job
  - module: gpulab.pachyderm.pachyderm_sync
"""

EXAMPLES = r"""
- name: Work on Pachyderm
  hosts: localhost
  gather_facts: false
  module_defaults:
    group/gpulab.pachyderm.pachyderm:
      pachd_address: grpc://127.0.0.1:30650
  tasks:
    - name: Open a commit
      gpulab.pachyderm.pachyderm_commit:
        action: start
        repo: data
        description: all of this week's images
      register: week

    - name: Finish it
      gpulab.pachyderm.pachyderm_commit:
        action: finish
        repo: data
        id: "{{ week.commits[0].id }}"

    - name: Take the newest commit back, with all that it has set off
      gpulab.pachyderm.pachyderm_commit:
        action: drop
        id: "{{ week.commits[0].id }}"

    - name: Wait for the commits of two branches
      gpulab.pachyderm.pachyderm_commit:
        action: wait
        project: vision
        branch: nightly
        commits:
          - repo: images
          - repo: labels
            branch: staging
        wait_timeout: 60
"""

RETURN = r"""
actions:
  description: What was done; in check mode what would be.
  returned: success
  type: list
  elements: dict
  sample: [{action: finish, kind: commit, name: default/data@master}]
commits:
  description: The commits as they are at the end; none of those that were deleted, and none in check mode.
  returned: success, and when a commit has an error
  type: list
  elements: dict
  contains:
    project:
      description: Project of the repo.
      type: str
    repo:
      description: Name of the repo.
      type: str
    repo_type:
      description: V(user), or V(meta) and V(spec) of a pipeline's own repos.
      type: str
    id:
      description: Id of the commit, and of its commit set.
      type: str
    state:
      description: V(open), V(finishing) or V(finished).
      type: str
    error:
      description: What is wrong with it, if something is.
      type: str
    description:
      description: Its text.
      type: str
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._commits import parse_commits, run_commits
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

_ONE: dict[str, Any] = {name: {"type": "str"} for name in ("repo", "project", "branch", "id")}
ARGUMENTS: dict[str, Any] = {
    "action": {"type": "str", "required": True, "choices": ["start", "finish", "squash", "drop", "wait"]},
    "repo": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "branch": {"type": "str", "default": "master"},
    "id": {"type": "str"},
    "commits": {"type": "list", "elements": "dict", "options": _ONE},
    "description": {"type": "str"},
    "wait_timeout": {"type": "float", "default": 600.0},
}


def main() -> None:
    either = [("repo", "commits"), ("id", "commits")]
    needed = [("repo", "id", "commits")]
    run_module(ARGUMENTS, parse_commits, run_commits, mutually_exclusive=either, required_one_of=needed)


if __name__ == "__main__":
    main()

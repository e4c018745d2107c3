#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_branch."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_branch
short_description: Manage branches of Pachyderm's repos
version_added: 1.0.0
description:
  - Creates, moves and deletes branches, and sets what they take data from (provenance) or what they follow
    (trigger).
  - Takes one branch or a list, in any order. What is there is read by one call for each repo, only what
    differs is written, and everything is checked before the first write. Options that are left out leave
    what is there.
  - The branches that pipelines read and write come with them; no task is needed for those.
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
      - A repo, branch or commit that is needed and does not exist is a warning in check mode, where an
        earlier task may be about to create it, and an error otherwise.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A branch whose O(head) is another branch is moved by each run after that one has moved.
options:
  name:
    description:
      - Name of the branch. Letters, digits, C(-) and C(_).
      - Mutually exclusive with O(branches); one of them is required.
    type: str
  repo:
    description:
      - Repo of the branch. It must exist.
    type: str
  project:
    description:
      - Project that holds the repo.
    type: str
    default: default
  head:
    description:
      - What the branch points at. The id of a commit, another branch of the repo, or either with an
        ancestry such as V(master^2).
      - Moving the head of a branch that a pipeline reads makes a job, for all that came together since then.
      - Not together with O(provenance) or O(trigger), which move the head themselves.
    type: str
  provenance:
    description:
      - Branches that this one takes data from, as C(repo), C(repo@branch) or C(project/repo@branch). The
        list is the whole of it; an empty one cuts the branch off. Without a branch, C(master) is meant.
      - A commit in one of them makes one here. A branch that does not exist is created empty; its repo
        must exist.
    type: list
    elements: str
  trigger:
    description:
      - When the branch is moved to the head of another one. What is given is the whole trigger.
      - With several conditions any of them does, unless O(trigger.all). With none the branch never moves.
      - Pachyderm cannot take a trigger away; delete the branch and create it again.
    type: dict
    suboptions:
      branch:
        description: The branch of the same repo that is followed.
        type: str
        required: true
      all:
        description: Wait until all conditions are met.
        type: bool
        default: false
      cron_spec:
        description: At these times, as five fields of cron or C(@daily). Other conditions do not count then.
        type: str
        default: ""
      rate_limit_spec:
        description: At most once between two of these times, as O(trigger.cron_spec).
        type: str
        default: ""
      size:
        description: When as many bytes have come together, such as V(100M) or V(1.5GB). 1M is 1,000,000.
        type: str
        default: ""
      commits:
        description: With every such number of commits.
        type: int
        default: 0
  state:
    description:
      - V(present) makes sure that the branch exists.
      - V(absent) deletes it. Its commits stay.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), delete a branch although others take data from it, or a trigger is on it or
        its own. B(Those lose their provenance.) Without it the module fails and names them.
    type: bool
    default: false
  branches:
    description:
      - Several branches at once.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      repo:
        description: As O(repo), which also holds where this is not given.
        type: str
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      head:
        description: As O(head).
        type: str
      provenance:
        description: As O(provenance).
        type: list
        elements: str
      trigger:
        description: As O(trigger).
        type: dict
        suboptions:
          branch:
            description: As O(trigger.branch).
            type: str
            required: true
          all:
            description: As O(trigger.all).
            type: bool
            default: false
          cron_spec:
            description: As O(trigger.cron_spec).
            type: str
            default: ""
          rate_limit_spec:
            description: As O(trigger.rate_limit_spec).
            type: str
            default: ""
          size:
            description: As O(trigger.size).
            type: str
            default: ""
          commits:
            description: As O(trigger.commits).
            type: int
            default: 0
      state:
        description: As O(state), which also holds where this is not given.
        type: str
        choices: [present, absent]
seealso:
  - module: gpulab.pachyderm.pachyderm_repo
  - module: gpulab.pachyderm.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Release what master holds now
  gpulab.pachyderm.pachyderm_branch:
    repo: data
    name: release
    head: master

- name: Let pipelines that read "hourly" run once for all commits of an hour, and for 10 GB at the latest
  gpulab.pachyderm.pachyderm_branch:
    repo: data
    branches:
      - name: staging
      - name: hourly
        trigger:
          branch: staging
          rate_limit_spec: "@hourly"
          size: 10GB

- name: Delete a branch and keep its commits
  gpulab.pachyderm.pachyderm_branch:
    repo: data
    name: old
    state: absent

- name: Run a pipeline by night, on what came by then, if it is 100 files or 1 GB, and not twice an hour
  gpulab.pachyderm.pachyderm_branch:
    project: vision
    repo: images
    branches:
      - name: nightly
        trigger:
          branch: staging
          cron_spec: "0 3 * * *"
      - name: batches
        trigger:
          branch: staging
          all: true
          commits: 100
          size: 1GB
          rate_limit_spec: "@hourly"

- name: Let a branch take data from two others
  gpulab.pachyderm.pachyderm_branch:
    repo: joined
    name: master
    provenance: [data, vision/images@nightly]

- name: Delete a branch that others take data from
  gpulab.pachyderm.pachyderm_branch:
    repo: data
    name: retired
    state: absent
    force: true
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: update, kind: branch, name: default/data@release}]
branches:
  description: The declared branches that exist now; in check mode those that would.
  returned: success
  type: list
  elements: dict
  contains:
    project:
      description: Project that holds the repo.
      type: str
    repo:
      description: Repo of the branch.
      type: str
    name:
      description: Name of the branch.
      type: str
    head:
      description: Id of the commit it points at; null for one that this run makes.
      type: str
    provenance:
      description: Branches that it takes data from itself, as C(project/repo@branch), sorted.
      type: list
      elements: str
    trigger:
      description: Its trigger, with the keys of O(trigger); null without one.
      type: dict
  sample:
    - project: default
      repo: data
      name: release
      head: 0b5cbae1bd5a4bd5a1b2c4d27cb0ff7a
      provenance: []
      trigger: null
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._branches import parse_branches, run_branches
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

STATES = ["present", "absent"]
TRIGGER: dict[str, Any] = {
    "branch": {"type": "str", "required": True},
    "all": {"type": "bool", "default": False},
    "cron_spec": {"type": "str", "default": ""},
    "rate_limit_spec": {"type": "str", "default": ""},
    "size": {"type": "str", "default": ""},
    "commits": {"type": "int", "default": 0},
}
WANTED: dict[str, Any] = {
    "head": {"type": "str"},
    "provenance": {"type": "list", "elements": "str"},
    "trigger": {"type": "dict", "options": TRIGGER},
}
ITEM: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "repo": {"type": "str"},
    "project": {"type": "str"},
    **WANTED,
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "repo": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    **WANTED,
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "force": {"type": "bool", "default": False},
    "branches": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("name", "branches")]
    run_module(ARGUMENTS, parse_branches, run_branches, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

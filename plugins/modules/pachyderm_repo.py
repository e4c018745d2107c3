#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_repo."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_repo
short_description: Manage repos of Pachyderm
version_added: 1.0.0
description:
  - Creates, describes and deletes repos, the versioned stores of data that pipelines read.
  - Takes one repo or a list. The list is compared by one call to pachd, and only what differs is written.
    Everything is checked before the first write.
  - Repos that pipelines write into are made and deleted with their pipeline;
    see M(gpulab.pachyderm.pachyderm_pipeline).
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
      - A project that does not exist is a warning in check mode, where an earlier task may be about to
        create it, and an error otherwise.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - Name of the repo. Letters, digits, C(-) and C(_).
      - Mutually exclusive with O(repos); one of them is required.
    type: str
  project:
    description:
      - Project that holds the repo. It must exist.
    type: str
    default: default
  description:
    description:
      - Text that is shown beside the repo. If it is not given, the text of an existing repo stays as it is;
        an empty string removes it.
    type: str
  metadata:
    description:
      - Keys and values that Pachyderm keeps for the repo. Keys that are not given stay as they are;
        a value of V(null) removes its key.
    type: dict
  state:
    description:
      - V(present) makes sure that the repo exists.
      - V(absent) deletes it B(with all data and history in it).
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), delete a repo although branches of other repos take data from it.
        B(Those branches lose their provenance); a pipeline that reads the repo has no input any more.
      - Without it the module fails and names them.
    type: bool
    default: false
  repos:
    description:
      - Several repos at once.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      description:
        description: As O(description).
        type: str
      metadata:
        description: As O(metadata).
        type: dict
      state:
        description: As O(state), which also holds where this is not given.
        type: str
        choices: [present, absent]
seealso:
  - module: gpulab.pachyderm.pachyderm_project
  - module: gpulab.pachyderm.pachyderm_sync
"""

EXAMPLES = r"""
- name: Work on Pachyderm
  hosts: localhost
  gather_facts: false
  module_defaults:
    group/gpulab.pachyderm.pachyderm:
      pachd_address: grpcs://pachyderm.example.com:443
      auth_token: "{{ lookup('ansible.builtin.env', 'LAB_TOKEN') }}"
  tasks:
    - name: Make sure that the tutorial's repo exists
      gpulab.pachyderm.pachyderm_repo:
        name: data
        description: Input of the gpu pipeline
        metadata:
          owner: vision

    - name: Declare all repos of the lab at once
      gpulab.pachyderm.pachyderm_repo:
        repos:
          - name: data
          - name: images
            project: vision
          - name: scratch
            state: absent

    - name: Delete a repo that others take data from
      gpulab.pachyderm.pachyderm_repo:
        name: old
        state: absent
        force: true
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: create, kind: repo, name: default/data}]
repos:
  description: The declared repos that exist now; in check mode those that would.
  returned: success
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
      description: Its metadata.
      type: dict
  sample: [{project: default, name: data, description: Input of the gpu pipeline, metadata: {owner: vision}}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._repos import parse_repos, run_repos
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

STATES = ["present", "absent"]
ITEM: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "project": {"type": "str"},
    "description": {"type": "str"},
    "metadata": {"type": "dict"},
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "description": {"type": "str"},
    "metadata": {"type": "dict"},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "force": {"type": "bool", "default": False},
    "repos": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("name", "repos")]
    run_module(ARGUMENTS, parse_repos, run_repos, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

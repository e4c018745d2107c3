#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_project
short_description: Manage projects of Pachyderm
version_added: 1.0.0
description:
  - Creates, describes and deletes projects. A project holds repos and pipelines.
  - Takes one project or a list. The list is compared by one call to pachd, and only what differs is written.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._connection
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - Name of the project. Letters, digits, C(-) and C(_), at most 51, the first one a letter or a digit.
      - Mutually exclusive with O(projects); one of them is required.
    type: str
  description:
    description:
      - Text that is shown beside the project. If it is not given, the text of an existing project stays;
        an empty string removes it.
    type: str
  metadata:
    description:
      - Keys and values that Pachyderm keeps for the project. Keys that are not given stay as they are;
        a value of V(null) removes its key.
    type: dict
  state:
    description:
      - V(present) makes sure that the project exists.
      - V(absent) deletes it. A project that still holds repos is not deleted; the module fails, naming them.
    type: str
    choices: [present, absent]
    default: present
  projects:
    description:
      - Several projects at once.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
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
  - module: gpulab.pachyderm.pachyderm_repo
"""

EXAMPLES = r"""
- name: Make sure that there is a project for the vision group
  gpulab.pachyderm.pachyderm_project:
    pachd_address: grpc://127.0.0.1:30650
    name: vision
    description: Images and the models made from them

- name: Declare all projects of the lab at once
  gpulab.pachyderm.pachyderm_project:
    projects:
      - name: vision
      - name: speech
        description: ""
      - name: old-stuff
        state: absent

- name: Reach pachd through a forwarded port, where its certificate is for another host
  gpulab.pachyderm.pachyderm_project:
    pachd_address: grpcs://127.0.0.1:30650
    server_name: pachyderm.example.com
    ca_cert: /etc/lab/pachd-ca.pem
    timeout: 5
    name: vision

- name: Reach it as pachctl does
  gpulab.pachyderm.pachyderm_project:
    pach_config: /etc/lab/pachctl.json
    context: lab
    name: vision

- name: Say whose it is, and no longer since when
  gpulab.pachyderm.pachyderm_project:
    name: vision
    metadata:
      owner: vision
      since: null
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: create, kind: project, name: vision}]
projects:
  description: The declared projects that exist now; in check mode those that would.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the project.
      type: str
    description:
      description: Its text.
      type: str
    metadata:
      description: Its metadata.
      type: dict
  sample: [{name: vision, description: Images and the models made from them, metadata: {}}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._projects import parse_projects, run_projects
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

STATES = ["present", "absent"]
ITEM: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "description": {"type": "str"},
    "metadata": {"type": "dict"},
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "description": {"type": "str"},
    "metadata": {"type": "dict"},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "projects": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("name", "projects")]
    run_module(ARGUMENTS, parse_projects, run_projects, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

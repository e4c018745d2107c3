#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_role_binding."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_role_binding
short_description: Manage who has which roles in Pachyderm
version_added: 1.0.0
description:
  - Gives and takes roles on the cluster, on projects and on repos. Authentication must be active in
    Pachyderm.
  - By itself it adds to what is there; with O(exclusive) what is declared is all there is.
  - All changes are checked before the first one, and roles are given before others are taken.
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
      - A project or repo that does not exist is a warning in check mode, where an earlier task may be
        about to create it, and an error otherwise.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  type:
    description:
      - What the roles are on.
      - Mutually exclusive with O(role_bindings); one of them is required.
    type: str
    choices: [cluster, project, repo]
  name:
    description:
      - Name of the project or the repo. The cluster has none.
    type: str
  project:
    description:
      - Project that holds the repo, with O(type=repo).
    type: str
    default: default
  roles:
    description:
      - A list of roles for each principal. A principal is C(user:EMAIL), C(robot:NAME), C(group:NAME) or
        C(allClusterUsers). Required with O(type).
      - The roles are C(repoReader), C(repoWriter), C(repoOwner), C(projectViewer), C(projectWriter),
        C(projectOwner), C(projectCreator), C(clusterAdmin), C(secretAdmin), C(robotUser), C(debugger),
        C(pachdLogReader), C(lokiLogReader), C(jobAdmin), C(licenseAdmin), C(identityAdmin), C(idpAdmin)
        and C(oidcAppAdmin).
    type: dict
  exclusive:
    description:
      - Take away every role on the resource that O(roles) does not name.
      - Principals of Pachyderm itself (C(pach:root), pipelines) keep theirs unless they are named.
      - Whoever runs the task can lock itself out this way; C(pach:root) cannot.
    type: bool
    default: false
  state:
    description:
      - V(present) gives the roles.
      - V(absent) takes them. A principal with an empty list loses all its roles on the resource.
    type: str
    choices: [present, absent]
    default: present
  role_bindings:
    description:
      - Several resources at once.
    type: list
    elements: dict
    suboptions:
      type:
        description: As O(type).
        type: str
        choices: [cluster, project, repo]
        required: true
      name:
        description: As O(name).
        type: str
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      roles:
        description: As O(roles).
        type: dict
        required: true
      exclusive:
        description: As O(exclusive), which also holds where this is not given.
        type: bool
      state:
        description: As O(state), which also holds where this is not given.
        type: str
        choices: [present, absent]
seealso:
  - module: gpulab.pachyderm.pachyderm_project
  - module: gpulab.pachyderm.pachyderm_repo
"""

EXAMPLES = r"""
- name: Let a robot write into a repo, and nobody else beside its owner
  gpulab.pachyderm.pachyderm_role_binding:
    type: repo
    name: data
    exclusive: true
    roles:
      "user:owner@example.com": [repoOwner]
      "robot:ci": [repoWriter]

- name: Give a group its project
  gpulab.pachyderm.pachyderm_role_binding:
    role_bindings:
      - type: project
        name: vision
        roles:
          "group:vision": [projectOwner]
      - type: cluster
        roles:
          "group:vision": [secretAdmin]

- name: Take all roles on the cluster from somebody
  gpulab.pachyderm.pachyderm_role_binding:
    type: cluster
    roles:
      "user:left@example.com": []
    state: absent

- name: Take a role on a project's repo from everybody
  gpulab.pachyderm.pachyderm_role_binding:
    type: repo
    project: vision
    name: images
    roles:
      allClusterUsers: [repoReader]
    state: absent
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: create, kind: role_binding, name: "robot:ci on repo default/data"}]
role_bindings:
  description: The declared resources as they are now; in check mode as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    type:
      description: cluster, project or repo.
      type: str
    resource:
      description: Its name, C(project/repo) of a repo; empty of the cluster.
      type: str
    roles:
      description: The roles of each principal on it, sorted; also of those that are not declared.
      type: dict
  sample: [{type: repo, resource: default/data, roles: {"robot:ci": [repoWriter]}}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._role_bindings import (
    parse_bindings,
    run_bindings,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

TYPES = ["cluster", "project", "repo"]
STATES = ["present", "absent"]
ITEM: dict[str, Any] = {
    "type": {"type": "str", "choices": TYPES, "required": True},
    "name": {"type": "str"},
    "project": {"type": "str"},
    "roles": {"type": "dict", "required": True},
    "exclusive": {"type": "bool"},
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "type": {"type": "str", "choices": TYPES},
    "name": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "roles": {"type": "dict"},
    "exclusive": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "role_bindings": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("type", "role_bindings")]
    run_module(ARGUMENTS, parse_bindings, run_bindings, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

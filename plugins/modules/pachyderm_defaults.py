#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_defaults."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_defaults
short_description: Manage the defaults that Pachyderm puts under pipeline specs
version_added: 1.0.0
description:
  - Sets the defaults of the cluster or of projects. A pipeline's spec goes over those of its project, and
    these over the cluster's.
  - Documents are compared by what they mean. How fields are spelled (C(resourceRequests),
    C(resource_requests)) and in what order they are does not matter.
  - pachd checks all documents, by a dry run, before the first one is written.
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
      - A project that does not exist is a warning in check mode, where an earlier task may be about to create
        it, and an error otherwise.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  project:
    description:
      - Project whose defaults are meant. Without it, those of the cluster.
    type: str
  spec:
    description:
      - The whole of the defaults, as C(createPipelineRequest) with a part of a pipeline spec in it. What
        it leaves out is no default any more; a field that is V(null) takes the cluster's default away.
      - Mutually exclusive with O(defaults).
    type: dict
  regenerate:
    description:
      - Bring the defaults into the pipelines that there are. Each whose effective spec differs gets a new
        version.
      - Without it only new and updated pipelines have them.
    type: bool
    default: false
  reprocess:
    description:
      - With O(regenerate), those pipelines process B(all) their data again.
    type: bool
    default: false
  state:
    description:
      - V(absent) leaves no defaults but those that are built into Pachyderm.
    type: str
    choices: [present, absent]
    default: present
  defaults:
    description:
      - Several documents at once.
    type: list
    elements: dict
    suboptions:
      project:
        description: As O(project).
        type: str
      spec:
        description: As O(spec).
        type: dict
      state:
        description: As O(state), which also holds where this is not given.
        type: str
        choices: [present, absent]
seealso:
  - module: gpulab.pachyderm.pachyderm_pipeline
  - module: gpulab.pachyderm.pachyderm_project
"""

EXAMPLES = r"""
- name: Give each worker half a core where a pipeline does not say more
  gpulab.pachyderm.pachyderm_defaults:
    spec:
      createPipelineRequest:
        resourceRequests:
          cpu: 0.5
          memory: 256Mi
          disk: 1Gi

- name: Try datums of one project once, also in the pipelines that there are
  gpulab.pachyderm.pachyderm_defaults:
    regenerate: true
    defaults:
      - project: vision
        spec:
          createPipelineRequest:
            datumTries: 1

- name: Leave a project without defaults, and process all its data again with that
  gpulab.pachyderm.pachyderm_defaults:
    project: vision
    state: absent
    regenerate: true
    reprocess: true
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: update, kind: defaults, name: project vision}]
defaults:
  description: The declared defaults as they are now; in check mode as they would be.
  returned: success
  type: list
  elements: dict
  contains:
    project:
      description: The project; null of the cluster.
      type: str
    spec:
      description: The document, with Pachyderm's own names of fields.
      type: dict
  sample: [{project: vision, spec: {createPipelineRequest: {datumTries: 1}}}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._defaults import parse_defaults, run_defaults
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

STATES = ["present", "absent"]
ITEM: dict[str, Any] = {
    "project": {"type": "str"},
    "spec": {"type": "dict"},
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "project": {"type": "str"},
    "spec": {"type": "dict"},
    "regenerate": {"type": "bool", "default": False},
    "reprocess": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "defaults": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    run_module(ARGUMENTS, parse_defaults, run_defaults, mutually_exclusive=[("spec", "defaults")])


if __name__ == "__main__":
    main()

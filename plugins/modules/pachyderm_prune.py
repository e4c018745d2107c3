#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_prune."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_prune
short_description: Delete what a lab made in Pachyderm and declares no more
version_added: 1.0.0
description:
  - Marks what a lab declares, in Pachyderm's own metadata under the key C(gpulab.lab.LAB). The mark is
    C(created) where the lab made it and C(declared) where it was there before.
  - With O(prune), deletes what bears this lab's mark C(created), and no other lab's, and is not declared now.
    From what else the lab declared once, it takes its mark away. Anything else is left alone.
  - What others need stays, with a warning, since nothing is deleted with force but a trigger. So does a repo
    with a branch that another lab declares, and one into which somebody wrote, unless O(data) is set.
  - A repo goes with its branches, and a pipeline with its output, which can be computed again.
  - The role C(gpulab.pachyderm.pachyderm_workflow) calls it where C(pachyderm_workflow_lab) is set.
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
  lab:
    description:
      - Name of the lab. Letters, digits, C(.), C(-) and C(_).
    type: str
    required: true
  projects:
    description:
      - The projects that the lab declares, by name.
    type: list
    elements: str
    default: []
  repos:
    description:
      - The repos, as C(project/repo).
    type: list
    elements: str
    default: []
  branches:
    description:
      - The branches, as C(project/repo@branch).
    type: list
    elements: str
    default: []
  pipelines:
    description:
      - The pipelines, as C(project/pipeline).
    type: list
    elements: str
    default: []
  specs:
    description:
      - More pipelines, in the form that O(ignore:pipelines) of M(gpulab.pachyderm.pachyderm_pipeline) has.
        A spec without a project is of C(default).
    type: list
    elements: dict
    default: []
  announce:
    description:
      - The run is about to make what is declared and not there. It is noted in the metadata of project
        C(default), until a call without O(announce) marks what the run made. Nothing is deleted.
      - Where no such call came, since the run was killed, the next one with O(announce) marks what is noted
        and there by now as C(created). That may also be what others made under such a name meanwhile.
    type: bool
    default: false
  actions:
    description:
      - What the modules of this run returned as C(actions). What they created of what is declared is
        marked as made by the lab.
    type: list
    elements: dict
    default: []
  prune:
    description:
      - Delete what is no longer declared. Without it, only marks are written.
    type: bool
    default: false
  data:
    description:
      - Delete repos B(with the data and history in them), too.
    type: bool
    default: false
seealso:
  - module: gpulab.pachyderm.pachyderm_repo
  - module: gpulab.pachyderm.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Note what is about to be made, so that a run that is killed owns it, too
  gpulab.pachyderm.pachyderm_prune:
    lab: vision
    repos: [default/data, default/images]
    specs:
      - src: /srv/vision/pipelines.yml
    announce: true

- name: Make the repos of the lab
  gpulab.pachyderm.pachyderm_repo:
    repos:
      - name: data
      - name: images
  register: repos

- name: Delete those of earlier runs that are not among them
  gpulab.pachyderm.pachyderm_prune:
    lab: vision
    repos: [default/data, default/images]
    actions: "{{ repos.actions }}"
    prune: true

- name: Delete whatever an earlier run of the lab made, but one of each, with the data
  gpulab.pachyderm.pachyderm_prune:
    lab: vision
    projects: [vision]
    repos: [vision/images]
    branches: [vision/images@nightly]
    pipelines: [vision/segment]
    prune: true
    data: true
"""

RETURN = r"""
actions:
  description:
    - What was marked, released and deleted, in that order; in check mode what would be.
    - C(announce) and C(withdraw) are of the notes of O(announce).
  returned: success
  type: list
  elements: dict
  sample: [{action: delete, kind: repo, name: default/images}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._prune import KINDS, parse_lab, run_lab
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
ARGUMENTS: dict[str, Any] = {
    "lab": {"type": "str", "required": True},
    **dict.fromkeys(KINDS, NAMES),
    "specs": {"type": "list", "elements": "dict", "default": []},
    "announce": {"type": "bool", "default": False},
    "actions": {"type": "list", "elements": "dict", "default": []},
    "prune": {"type": "bool", "default": False},
    "data": {"type": "bool", "default": False},
}


def main() -> None:
    run_module(ARGUMENTS, parse_lab, run_lab)


if __name__ == "__main__":
    main()

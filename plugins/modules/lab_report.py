#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module lab_report."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_report
short_description: Write what is known of a lab as one HTML page
version_added: 1.0.0
description:
  - Writes one HTML page that needs neither network nor JavaScript, and its data as JSON beside it.
  - It has the nodes, the cluster, repos and pipelines as a graph, jobs on a time line, newest commits, what
    the newest run changed, and the last log lines of failed jobs. What is not given is said to be missing.
  - It is made from results of other modules; it asks nobody.
    The role P(gpulab.pachyderm.lab_report#role) collects them.
  - The page does not say when it was written, so that it changes only when the lab does.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - A diff has the hash of the page, since the page is long.
  idempotent:
    support: full
requirements:
  - jinja2
  - igraph, to draw the graph; without it the pipelines are in a table alone
options:
  dest:
    description:
      - Path of the page. The JSON has the same name with C(.json) in the place of the suffix.
    type: path
    required: true
  title:
    description: Heading of the page.
    type: str
    default: Lab report
  nodes:
    description: The GPU nodes.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      distribution:
        description: Its distribution and release.
        type: str
      info:
        description: What M(gpulab.pachyderm.nvidia_node_info) returned, or the error of that task.
        type: dict
      reboot_needed:
        description: Whether the role that installs the driver said so.
        type: bool
        default: false
      pending:
        description: Units that have to be restarted.
        type: list
        elements: str
        default: []
  cluster:
    description: The Kubernetes cluster. Leave it out where there is none.
    type: dict
    suboptions:
      capacity:
        description: What M(gpulab.pachyderm.nvidia_gpu_capacity) returned, or the error of that task.
        type: dict
      versions:
        description: Names of things and their versions, such as that of a chart.
        type: dict
        default: {}
  pachyderm:
    description:
      - What M(gpulab.pachyderm.pachyderm_info) returned for V(repos), V(branches), V(commits), V(pipelines)
        and V(jobs), or the error of that task. Leave it out where there is no Pachyderm.
    type: dict
  logs:
    description: Last log lines of failed jobs.
    type: list
    elements: dict
    default: []
    suboptions:
      pipeline:
        description: Name of the pipeline.
        type: str
        required: true
      job:
        description: Id of the job.
        type: str
        required: true
      lines:
        description: The lines.
        type: list
        elements: str
        required: true
  changes_from:
    description:
      - File in which the callback P(gpulab.pachyderm.run_changes#callback) records what this run changed.
        Empty if it is not enabled.
      - A run that changed nothing leaves what the page says of an earlier one.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Read the lab
  gpulab.pachyderm.pachyderm_info:
    gather: [repos, branches, commits, pipelines, jobs]
  register: lab

- name: Write its report
  gpulab.pachyderm.lab_report:
    dest: /srv/www/lab.html
    pachyderm: "{{ lab }}"

- name: Write the report of nodes, cluster and jobs that earlier tasks have asked for
  gpulab.pachyderm.lab_report:
    dest: /srv/www/lab.html
    title: The vision group's lab
    nodes:
      - name: gpu7
        distribution: Debian 12
        info: "{{ node }}"
        reboot_needed: true
        pending: [docker]
    cluster:
      capacity: "{{ capacity }}"
      versions:
        Kubernetes: "{{ kubernetes_version }}"
    logs:
      - pipeline: train
        job: 5a7ae0e22a8d4e0a9d57d3ed1a8ed5a9
        lines: [out of memory]
    changes_from: "{{ lookup('ansible.builtin.env', 'GPULAB_RUN_CHANGES') }}"
"""

RETURN = r"""
dest:
  description: Path of the page.
  returned: success
  type: str
data:
  description: Path of the JSON.
  returned: success
  type: str
actions:
  description: What was written, or would be.
  returned: success
  type: list
  elements: dict
  sample: [{action: write, kind: file, name: /srv/www/lab.html}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.gpulab.pachyderm.plugins.module_utils._report import write_report
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import complete

ARGUMENTS: dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "title": {"type": "str", "default": "Lab report"},
    "nodes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "distribution": {"type": "str"},
            "info": {"type": "dict"},
            "reboot_needed": {"type": "bool", "default": False},
            "pending": {"type": "list", "elements": "str", "default": []},
        },
    },
    "cluster": {
        "type": "dict",
        "options": {"capacity": {"type": "dict"}, "versions": {"type": "dict", "default": {}}},
    },
    "pachyderm": {"type": "dict"},
    "logs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "pipeline": {"type": "str", "required": True},
            "job": {"type": "str", "required": True},
            "lines": {"type": "list", "elements": "str", "required": True},
        },
    },
    "changes_from": {"type": "path", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    complete(module, lambda: write_report(module.params, module.check_mode))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module kubernetes_objects."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_objects
short_description: Keep objects of a Kubernetes cluster as declared
version_added: 1.0.0
description:
  - Makes, changes and removes objects of any kinds, each list by one call of the module.
  - Only what differs is written, by server-side apply. An object that others made and that is as declared
    already is left as it is.
  - In check mode nothing is sent but reads, not even a dry run. So it works for a user who may only read, and
    on a cluster that does not have the objects' namespace yet.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm.kubernetes
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm.kubernetes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - What only the API server can refuse, such as a field that it does not know, is found by the real run.
  diff_mode:
    support: full
    details:
      - The content of a Secret is not shown.
  idempotent:
    support: full
options:
  objects:
    description:
      - The objects, as for C(kubectl apply), each with C(apiVersion), C(kind) and C(metadata.name). They are
        made in this order, and removed in the reverse one.
      - What an earlier run declared in an object and this one does not is taken out of it.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) makes sure that they are as declared.
      - V(patched) changes what is given in objects that are there, such as a node's labels, and makes none;
        null takes a field out. Such objects are never removed by this module.
      - V(absent) removes those that this module made, and names the others.
        A namespace goes B(with all that is in it).
    type: str
    choices: [present, patched, absent]
    default: present
  wait:
    description:
      - Seconds to wait until Deployments and DaemonSets among them run as declared, or until all are gone.
        V(0) does not wait.
    type: int
    default: 0
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Make sure that pods can ask for NVIDIA's runtime
  gpulab.pachyderm.kubernetes_objects:
    kubeconfig: ~/.kube/lab
    objects:
      - apiVersion: node.k8s.io/v1
        kind: RuntimeClass
        metadata:
          name: nvidia
        handler: nvidia

- name: Run the daemon of a manifest, and wait until it runs on each node
  gpulab.pachyderm.kubernetes_objects:
    objects: "{{ lookup('ansible.builtin.file', 'daemon.yml') | from_yaml_all }}"
    wait: 300

- name: Take a label off a node
  gpulab.pachyderm.kubernetes_objects:
    objects:
      - apiVersion: v1
        kind: Node
        metadata:
          name: gpu7
          labels:
            example.com/reserved: null
    state: patched
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: create, kind: RuntimeClass, name: nvidia}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_objects import (
    parse_objects,
    run_objects,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_kubernetes_module

ARGUMENTS: dict[str, Any] = {
    "objects": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "patched", "absent"], "default": "present"},
    "wait": {"type": "int", "default": 0},
}


def main() -> None:
    run_kubernetes_module(ARGUMENTS, parse_objects, run_objects)


if __name__ == "__main__":
    main()

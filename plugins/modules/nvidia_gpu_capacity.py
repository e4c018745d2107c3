#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module nvidia_gpu_capacity."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_gpu_capacity
short_description: Read how many GPUs the nodes of a Kubernetes cluster lend, and wait for them
version_added: 1.0.0
description:
  - Returns what each node offers of NVIDIA's GPUs, what its pods hold, whether the device plugin runs there,
    and which pods wait for a GPU, with the scheduler's own words.
  - With O(nodes) or O(node_selector) it waits until each of these nodes lends its GPUs. It fails where some
    do not, and says of each why, as far as the cluster knows. The device plugin's image, runtime handler,
    node selector and tolerations are looked at, and what its log says of the driver.
  - However many nodes there are, it asks for three lists, in pages of 500.
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
      - This module only reads. In check mode it neither waits nor fails, since nothing was installed that
        could lend a GPU; see RV(missing).
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
options:
  resource:
    description:
      - Name under which GPUs are lent, or a pattern, such as V(nvidia.com/mig-*).
    type: str
    default: nvidia.com/gpu
  nodes:
    description:
      - Nodes that must lend GPUs.
    type: list
    elements: str
    default: []
  node_selector:
    description:
      - Label selector of nodes that must lend GPUs, as C(nvidia.com/gpu.present=true). Terms C(a=b), C(a!=b),
        C(a) and C(!a), joined by commas.
    type: str
  minimum:
    description:
      - How many each of them must lend at least, all resources that O(resource) matches together.
    type: int
    default: 1
  plugin_labels:
    description:
      - Labels of the device plugin's pods and of their DaemonSet.
    type: dict
    default:
      app.kubernetes.io/name: nvidia-device-plugin
  wait:
    description:
      - Seconds to wait for them.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: See how many GPUs are free
  gpulab.pachyderm.nvidia_gpu_capacity:
    kubeconfig: ~/.kube/lab
  register: capacity

- name: Say so
  ansible.builtin.debug:
    msg: "{{ capacity.totals['nvidia.com/gpu'].free | default(0) }} GPUs are free"

- name: Wait until the new node lends its GPUs
  gpulab.pachyderm.nvidia_gpu_capacity:
    kubeconfig: ~/.kube/lab
    nodes: [gpu7]
    minimum: 8
    wait: 300

- name: Wait until each node with this label lends parts of a GPU
  gpulab.pachyderm.nvidia_gpu_capacity:
    resource: nvidia.com/mig-*
    node_selector: nvidia.com/mig.capable=true
    plugin_labels:
      app: nvidia-device-plugin-daemonset
    wait: 300
"""

RETURN = r"""
nodes:
  description: The nodes that have, should have or are to get GPUs.
  returned: success, and when nodes do not lend their GPUs
  type: list
  elements: dict
  contains:
    name:
      description: Name of the node.
      type: str
    ready:
      description: Whether it is Ready.
      type: bool
    schedulable:
      description: Whether it takes pods. False if it was cordoned.
      type: bool
    gpus:
      description: By resource, how many the node has (C(capacity)), lends (C(allocatable)), and what its pods
        hold (C(requested)).
      type: dict
      sample: {nvidia.com/gpu: {capacity: 8, allocatable: 8, requested: 3}}
    labels:
      description: Its labels of NVIDIA's domain.
      type: dict
      sample: {nvidia.com/gpu.present: "true"}
    runtime_handlers:
      description: What its container runtime can be asked for. Null where it does not tell, such as
        containerd before release 2.
      type: list
      elements: str
    plugin:
      description: The device plugin's pod there (C(namespace), C(pod), C(ready), C(reason)). Null if there
        is none.
      type: dict
    reason:
      description: Why the node does not lend what it should. Null if it does, or nothing is asked of it.
      type: str
      sample: "node is NotReady: KubeletNotReady: container runtime network not ready"
totals:
  description: Sums over these nodes by resource. C(free) counts only nodes that take pods.
  returned: success, and when nodes do not lend their GPUs
  type: dict
  sample: {nvidia.com/gpu: {capacity: 16, allocatable: 16, requested: 3, free: 13}}
pending:
  description: Pods that wait for a node with GPUs.
  returned: success, and when nodes do not lend their GPUs
  type: list
  elements: dict
  sample:
    - namespace: default
      name: train
      gpus: {nvidia.com/gpu: 4}
      reason: "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
plugins:
  description: The DaemonSets of device plugins, whoever installed them.
  returned: success, and when nodes do not lend their GPUs
  type: list
  elements: dict
  contains:
    namespace:
      description: Where it is.
      type: str
    name:
      description: Its name.
      type: str
    managed_by:
      description: What its labels say of who manages it. Null if they do not.
      type: str
      sample: Helm
    release:
      description: Helm's release that it is part of. Null if it is of none.
      type: str
    images:
      description: Of its containers.
      type: list
      elements: str
missing:
  description: The wanted nodes that do not lend their GPUs, each with its C(name) and the C(reason).
  returned: success, and when nodes do not lend their GPUs
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._gpu_capacity import (
    parse_options,
    run_capacity,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_kubernetes_module

ARGUMENTS: dict[str, Any] = {
    "resource": {"type": "str", "default": "nvidia.com/gpu"},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "node_selector": {"type": "str"},
    "minimum": {"type": "int", "default": 1},
    "plugin_labels": {"type": "dict", "default": {"app.kubernetes.io/name": "nvidia-device-plugin"}},
    "wait": {"type": "int", "default": 0},
}


def main() -> None:
    run_kubernetes_module(ARGUMENTS, parse_options, run_capacity)


if __name__ == "__main__":
    main()

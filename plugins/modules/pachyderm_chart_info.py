#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_chart_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_chart_info
short_description: Read whether the pods of Pachyderm are up, or wait for them
version_added: 1.0.0
description:
  - Returns the pods of Pachyderm's own deployments and stateful sets, without those of pipelines, and what
    is not
    ready yet, with the reason that Kubernetes has, such as an image that cannot be pulled, a node without
    enough
    CPU, or a volume that nobody provides.
  - Each look is four lists, however many pods there are.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm.kubernetes
  - gpulab.pachyderm.kubernetes.actiongroup
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.info
options:
  namespace:
    description: Namespace of Pachyderm.
    type: str
    default: pachyderm
  wait:
    description:
      - How many seconds to wait until everything is ready. After that the module fails and says what is
        not, and why.
      - V(0) looks once, and does not fail.
    type: int
    default: 0
seealso:
  - module: gpulab.pachyderm.pachyderm_chart
"""

EXAMPLES = r"""
- name: Wait until Pachyderm is up
  gpulab.pachyderm.pachyderm_chart_info:
    wait: 600

- name: Look at another one
  gpulab.pachyderm.pachyderm_chart_info:
    namespace: vision
"""

RETURN = r"""
ready:
  description: Whether all of it is.
  returned: success
  type: bool
waiting:
  description: What is not ready, and why.
  returned: always
  type: list
  elements: str
  sample: ["pachd: pod pachd-5c9d7: 0/2 nodes are available: 2 Insufficient cpu."]
pods:
  description: The pods.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the pod.
      type: str
    phase:
      description: Its phase.
      type: str
      sample: Running
    node:
      description: The node that it is on. Null if it is on none.
      type: str
    ready:
      description: How many of its containers are ready.
      type: str
      sample: 1/1
    not_ready:
      description: The first of its containers that is not ready. Null if all are.
      type: str
    restarts:
      description: How many times its containers were restarted.
      type: int
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_rollout import rollout
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import Kubernetes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._plan import Outcome
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_kubernetes_module

ARGUMENTS: dict[str, Any] = {
    "namespace": {"type": "str", "default": "pachyderm"},
    "wait": {"type": "int", "default": 0},
}


def work(client: Kubernetes, params: Mapping[str, Any], _check: bool) -> Outcome:
    return rollout(client, params["namespace"], params["wait"])


def main() -> None:
    run_kubernetes_module(ARGUMENTS, dict, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_endpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_endpoint
short_description: Find the address of pachd in a Kubernetes cluster
version_added: 1.0.0
description:
  - Returns the address that the other modules take as C(pachd_address), from the services, ingresses and
    OpenShift
    routes of Pachyderm's namespace, or through a port forward that stays open for the play.
  - It only reads. A forward is a process on the host where the module runs, which listens on loopback.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm.kubernetes
  - gpulab.pachyderm.kubernetes.actiongroup
  - gpulab.pachyderm._attributes
attributes:
  check_mode:
    support: full
    details:
      - A forward is opened in check mode, too, since the tasks after this one read from pachd.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing in the cluster.
  idempotent:
    support: full
    details:
      - A forward that is open already is taken again.
options:
  namespace:
    description: Namespace of Pachyderm.
    type: str
    default: pachyderm
  state:
    description:
      - V(present) returns an address.
      - V(absent) ends the port forward, if one is open.
    type: str
    choices: [present, absent]
    default: present
  method:
    description:
      - V(route), V(ingress) and V(load_balancer) give the address that the object of that kind was assigned.
      - V(node_port) gives the address of a ready node, V(service) the one inside of the cluster.
      - V(port_forward) opens a forward to a ready pod. It survives that the pod is replaced.
      - V(auto) takes the first in this order that accepts a connection, V(service) only where the module
        itself
        runs in a pod.
    type: str
    choices: [auto, service, node_port, load_balancer, ingress, route, port_forward]
    default: auto
  port:
    description: Port of 127.0.0.1 for a forward. V(0) takes a free one.
    type: int
    default: 0
  lifetime:
    description: Seconds after which a forward that nobody asked for again ends by itself.
    type: int
    default: 3600
  wait:
    description:
      - Seconds to wait until there is an address, and until pachd answers there with its version.
      - V(0) takes what is there, and does not ask pachd.
    type: int
    default: 0
  pachd_ca_cert:
    description: File with the PEM certificates that pachd's own certificate is checked against, when it is
      asked.
    type: path
seealso:
  - module: gpulab.pachyderm.pachyderm_chart
requirements:
  - pachyderm-sdk >= 2.12 (on the host where the module runs; only for O(wait))
"""

EXAMPLES = r"""
- name: Find pachd, however it is published
  gpulab.pachyderm.pachyderm_endpoint:
    wait: 60
  register: pachd

- name: Declare a repo there
  gpulab.pachyderm.pachyderm_repo:
    pachd_address: "{{ pachd.address }}"
    name: data

- name: End the port forward, if one was opened
  gpulab.pachyderm.pachyderm_endpoint:
    state: absent

- name: Open a forward to another pachd, at a port of one's own, for a day
  gpulab.pachyderm.pachyderm_endpoint:
    namespace: vision
    method: port_forward
    port: 30650
    lifetime: 86400
    wait: 60
    pachd_ca_cert: /etc/lab/pachd-ca.pem
"""

RETURN = r"""
address:
  description: The address, for C(pachd_address).
  returned: O(state=present)
  type: str
  sample: grpc://127.0.0.1:43211
method:
  description: How it was found.
  returned: O(state=present)
  type: str
  sample: port_forward
name:
  description: The service, ingress or route that it is of.
  returned: O(state=present)
  type: str
  sample: pachyderm-proxy
host:
  description: The host of the address.
  returned: O(state=present)
  type: str
port:
  description: The port of the address.
  returned: O(state=present)
  type: int
tls:
  description: Whether it is encrypted.
  returned: O(state=present)
  type: bool
started:
  description: Whether a forward was opened by this task.
  returned: O(state=present)
  type: bool
version:
  description: The version that pachd says it is.
  returned: O(state=present) and O(wait) is more than 0
  type: str
  sample: 2.12.0
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._endpoint import METHODS
from ansible_collections.gpulab.pachyderm.plugins.module_utils._endpoint_find import end_forward, find
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import Kubernetes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._plan import Outcome
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_kubernetes_module

ARGUMENTS: dict[str, Any] = {
    "namespace": {"type": "str", "default": "pachyderm"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "method": {"type": "str", "choices": list(METHODS), "default": "auto"},
    "port": {"type": "int", "default": 0},
    "lifetime": {"type": "int", "default": 3600},
    "wait": {"type": "int", "default": 0},
    "pachd_ca_cert": {"type": "path"},
}


def work(client: Kubernetes, params: Mapping[str, Any], check: bool) -> Outcome:
    return (find if params["state"] == "present" else end_forward)(client, params, check)


def main() -> None:
    run_kubernetes_module(ARGUMENTS, dict, work)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module kubernetes_objects_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_objects_info
short_description: List the objects of a kind in a Kubernetes cluster
version_added: 1.0.0
description:
  - Returns all objects of one kind, by one list, page by page.
  - A cluster that cannot be reached, and a right that is missing, are one line.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm.kubernetes
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.info
  - gpulab.pachyderm.kubernetes.actiongroup
options:
  api_version:
    description:
      - Group and version of the kind, such as V(apps/v1).
    type: str
    default: v1
  kind:
    description:
      - The kind, such as V(Node).
    type: str
    required: true
  namespace:
    description:
      - Where to look. Not set means in all namespaces.
    type: str
  labels:
    description:
      - Labels that the objects must have.
    type: dict
    default: {}
seealso:
  - module: gpulab.pachyderm.kubernetes_objects
"""

EXAMPLES = r"""
- name: Look at the StorageClasses
  gpulab.pachyderm.kubernetes_objects_info:
    kubeconfig: ~/.kube/lab
    api_version: storage.k8s.io/v1
    kind: StorageClass
  register: classes

- name: Name them
  ansible.builtin.debug:
    msg: "{{ classes.objects | map(attribute='metadata.name') }}"

- name: Look at the pods of the device plugin
  gpulab.pachyderm.kubernetes_objects_info:
    kind: Pod
    namespace: kube-system
    labels:
      app.kubernetes.io/name: nvidia-device-plugin
  register: plugins

- name: Look at the nodes, without a kubeconfig
  gpulab.pachyderm.kubernetes_objects_info:
    host: https://kubernetes.example.com:6443
    api_key: "{{ vault_kubernetes_token }}"
    ca_cert: /etc/lab/kubernetes-ca.pem
    validate_certs: true
    kind: Node
  register: nodes

- name: Look at those of another context
  gpulab.pachyderm.kubernetes_objects_info:
    kubeconfig: ~/.kube/config
    context: lab
    kind: Node
  register: nodes
"""

RETURN = r"""
objects:
  description: The objects, as the API server has them. Empty also for a kind that the cluster does not know.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_objects import list_objects
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_kubernetes_module

ARGUMENTS: dict[str, Any] = {
    "api_version": {"type": "str", "default": "v1"},
    "kind": {"type": "str", "required": True},
    "namespace": {"type": "str"},
    "labels": {"type": "dict", "default": {}},
}


def main() -> None:
    run_kubernetes_module(ARGUMENTS, dict, list_objects)


if __name__ == "__main__":
    main()

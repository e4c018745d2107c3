#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module kubernetes_probe."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_probe
short_description: Run a pod once, to see whether a Kubernetes cluster can
version_added: 1.0.0
description:
  - Makes a pod, if asked with a claim of a volume, waits until it has ended, and returns what it printed.
  - If it does not succeed the module fails with the reason, such as the scheduler's own words, an image that
    cannot be pulled, or a volume that is not provisioned.
  - The pod, the claim and its volume are removed in any case, and what a killed run left is removed by the
    next. So nothing is ever changed.
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
      - Nothing is run, nor written; RV(ran) is false.
  diff_mode:
    support: N/A
    details:
      - Nothing stays that could differ.
  idempotent:
    support: full
    details:
      - It leaves nothing behind.
options:
  name:
    description:
      - Name of the pod and of its claim. Others of this name are not touched; the module fails then.
    type: str
    required: true
  namespace:
    description:
      - Where they are made. It must exist.
    type: str
    default: default
  pod:
    description:
      - Its C(spec), as Kubernetes has it. It is not restarted, and gets no token of the API server, unless
        this says otherwise.
    type: dict
    required: true
  claim:
    description:
      - The C(spec) of a persistent volume claim of the same name, for a volume of the pod.
    type: dict
  timeout:
    description:
      - Seconds for the pod to end.
    type: int
    default: 120
seealso:
  - module: gpulab.pachyderm.nvidia_gpu_capacity
"""

EXAMPLES = r"""
- name: See a GPU from inside of a pod
  gpulab.pachyderm.kubernetes_probe:
    kubeconfig: ~/.kube/lab
    name: gpu-probe
    pod:
      runtimeClassName: nvidia
      containers:
        - name: probe
          image: docker.io/library/debian:12.11-slim
          command: [nvidia-smi, -L]
          resources:
            limits:
              nvidia.com/gpu: 1
  register: probe

- name: Show it
  ansible.builtin.debug:
    msg: "{{ probe.output }}"

- name: See whether a volume comes about
  gpulab.pachyderm.kubernetes_probe:
    name: volume-probe
    namespace: lab
    claim:
      accessModes: [ReadWriteOnce]
      resources:
        requests:
          storage: 1Mi
    pod:
      containers:
        - name: probe
          image: docker.io/library/debian:12.11-slim
          command: [touch, /volume/file]
          volumeMounts:
            - name: volume
              mountPath: /volume
      volumes:
        - name: volume
          persistentVolumeClaim:
            claimName: volume-probe
    timeout: 300
"""

RETURN = r"""
ran:
  description: Whether a pod was run. False in check mode.
  returned: always
  type: bool
output:
  description: What it printed.
  returned: when it ran, also when it did not succeed
  type: str
  sample: "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-...)"
phase:
  description: How far it came.
  returned: when it ran, also when it did not succeed
  type: str
  sample: Succeeded
node:
  description: Where it ran. Empty if it found no node.
  returned: when it ran, also when it did not succeed
  type: str
volume:
  description: Name of the volume that was made for it and is gone again. Empty if there was none.
  returned: when it ran, also when it did not succeed
  type: str
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_probe import parse_probe, run_probe
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_kubernetes_module

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": "default"},
    "pod": {"type": "dict", "required": True},
    "claim": {"type": "dict"},
    "timeout": {"type": "int", "default": 120},
}


def main() -> None:
    run_kubernetes_module(ARGUMENTS, parse_probe, run_probe)


if __name__ == "__main__":
    main()

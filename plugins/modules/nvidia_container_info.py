#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module nvidia_container_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container_info
short_description: Read which runtimes the container engines of a node have in effect
version_added: 1.0.0
description:
  - Asks Docker, containerd, CRI-O, k3s and RKE2 which runtimes they know, and reads CDI specifications.
  - Nothing is changed. Root is needed, as the engines answer nobody else.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.info
options:
  cdi_specs:
    description:
      - CDI specifications to read.
    type: list
    elements: path
    default: [/etc/cdi/nvidia.yaml, /var/run/cdi/nvidia.yaml]
  units:
    description:
      - Units of systemd to look at.
    type: list
    elements: str
    default: []
  files:
    description:
      - Files to look for, as patterns with C(*).
    type: list
    elements: path
    default: []
  pending_dir:
    description:
      - Directory where M(gpulab.pachyderm.nvidia_container_runtime) marks engines that have yet to learn
        of a change.
    type: path
    default: /run/gpulab-nvidia
seealso:
  - module: gpulab.pachyderm.nvidia_container_runtime
  - module: gpulab.pachyderm.nvidia_node_info
"""

EXAMPLES = r"""
- name: Look at the container engines
  gpulab.pachyderm.nvidia_container_info:
  register: node

- name: Say which runtime Docker takes where a container names none
  ansible.builtin.debug:
    var: node.containers.engines.docker.default_runtime

- name: Look at what another runtime brought along
  gpulab.pachyderm.nvidia_container_info:
    cdi_specs: [/etc/cdi/lab.yaml]
    units: [nvidia-cdi-refresh.service]
    files: [/etc/containerd/conf.d/*.toml]
    pending_dir: /run/lab
  register: node
"""

RETURN = r"""
containers:
  description: What was found.
  returned: success
  type: dict
  contains:
    engines:
      description:
        - For V(docker), V(containerd), V(crio), V(k3s) and V(rke2) its state.
        - Docker is asked itself. containerd and CRI-O print what they take from their files. k3s and RKE2
          write containerd's configuration at each start, and that file is read.
      type: dict
      contains:
        installed:
          description: Whether there is a unit or a command of it.
          type: bool
        active:
          description: Whether its unit runs.
          type: bool
        unit:
          description: Its unit.
          type: str
        needs_daemon_reload:
          description: Whether the unit's files changed since systemd read them.
          type: bool
        restarts:
          description: Units that systemd restarts with it.
          type: list
          elements: str
        runtimes:
          description: Name of each runtime and the path of its binary; null where the engine has its own.
          type: dict
        default_runtime:
          description: Runtime of containers that name none; null where it is not said.
          type: str
        version:
          description: Docker only. Its version; null where it does not answer.
          type: str
        stale:
          description: Docker only. Whether C(daemon.json) says another NVIDIA runtime than it has.
          type: bool
        config_error:
          description: Docker only. What is wrong with the JSON of its C(daemon.json); null if nothing is.
          type: str
        live_restore:
          description: Docker only. Whether containers survive its restart; null where it does not answer.
          type: bool
        containers_running:
          description: Docker only. How many run; null where it does not answer.
          type: int
        config:
          description: k3s and RKE2 only. The file that they write.
          type: str
        error:
          description: Why it could not be asked, in one line; null if it could.
          type: str
    kubelet:
      description: Whether this is a node of Kubernetes, by the command C(kubelet).
      type: bool
    nvidia_ctk:
      description: Version of the NVIDIA Container Toolkit's command; null where it does not run.
      type: str
    cdi:
      description: For each of O(cdi_specs) its C(driver_version) and C(devices); null where it is missing.
      type: dict
    units:
      description: For each of O(units) its C(file) (null where it is missing), C(enabled), C(active) and
        C(needs_daemon_reload).
      type: dict
    files:
      description: Those of O(files) that exist.
      type: list
      elements: str
    pending:
      description: Engines that do not know of a change in their configuration yet.
      type: list
      elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_info import gather

ARGUMENTS: dict[str, Any] = {
    "cdi_specs": {
        "type": "list",
        "elements": "path",
        "default": ["/etc/cdi/nvidia.yaml", "/var/run/cdi/nvidia.yaml"],
    },
    "units": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "list", "elements": "path", "default": []},
    "pending_dir": {"type": "path", "default": "/run/gpulab-nvidia"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    found = gather(options["cdi_specs"], options["units"], options["files"], options["pending_dir"])
    module.exit_json(changed=False, containers=found)


if __name__ == "__main__":
    main()

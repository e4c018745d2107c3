#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module nvidia_node_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_node_info
short_description: Read what a node has of NVIDIA's hardware and software
version_added: 1.0.0
description:
  - Returns GPUs and NVSwitches, the driver that is loaded, the one on disk and its library, what
    C(nvidia-smi) sees, packages, and what of the kernel matters to the driver.
  - It needs neither the driver nor any tool. What cannot be known is null.
  - It never loads the driver, and a command that hangs is given up after O(timeout) seconds.
  - Runs on the node, as root; with Python 3.8 or newer.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.info
options:
  kernel:
    description:
      - Release of the kernel whose headers, module and initramfs are meant, as C(uname -r) writes it.
        The running kernel if it is not given.
    type: str
  initramfs_after:
    description:
      - Files that the initramfs takes up, such as those of modprobe. RV(nvidia.initramfs_stale) tells whether
        it is older than one, RV(nvidia.driver_predates) whether the driver was loaded before.
      - Of a folder, the time counts at which an entry of it came or went.
    type: list
    elements: path
    default: []
  timeout:
    description:
      - How many seconds each command may take. C(nvidia-smi) takes some on a machine with many GPUs and
        without the persistence daemon.
    type: int
    default: 60
seealso:
  - name: Open kernel modules
    description: Which GPUs the open and which the proprietary kernel modules support.
    link: https://us.download.nvidia.com/XFree86/Linux-x86_64/595.45.04/README/kernel_open.html
"""

EXAMPLES = r"""
- name: Look at the node
  gpulab.pachyderm.nvidia_node_info:
  become: true
  register: node

- name: Name the nodes whose driver was upgraded under their feet
  ansible.builtin.debug:
    msg: "{{ driver.loaded_version }} is loaded, the library is {{ driver.library_version }}"
  vars:
    driver: "{{ node.nvidia.driver }}"
  when: driver.loaded_version != driver.library_version

- name: See whether the blacklist is in the initramfs already
  gpulab.pachyderm.nvidia_node_info:
    initramfs_after: [/etc/modprobe.d/blacklist-nouveau.conf]
  become: true
  register: node

- name: See whether the driver is built for the kernel of the next boot
  gpulab.pachyderm.nvidia_node_info:
    kernel: 6.1.0-37-amd64
    timeout: 120
  become: true
  register: node
"""

RETURN = r"""
nvidia:
  description: What the node has.
  returned: success
  type: dict
  contains:
    gpus:
      description: The GPUs on the PCI bus, whatever driver they have, without virtual functions.
      type: list
      elements: dict
      contains:
        address:
          description: Address on the bus.
          type: str
          sample: "0000:3b:00.0"
        device_id:
          description: PCI device id.
          type: str
          sample: "0x2330"
        generation:
          description:
            - V(maxwell), V(pascal), V(volta), V(turing), V(ampere), V(ada), V(hopper) or V(blackwell).
              V(older) than Maxwell; V(unknown) if it is newer than this module.
          type: str
          sample: hopper
        bound_to:
          description: Kernel driver that has it, such as C(nvidia), C(nouveau), or C(vfio-pci) if it is
            passed through to a virtual machine. Null if none has.
          type: str
          sample: nvidia
    nvswitches:
      description: Addresses of the NVSwitches. Those of Blackwell systems are not on the PCI bus.
      type: list
      elements: str
    kernel:
      description: Release of the kernel that was asked for.
      type: str
      sample: 6.1.0-35-amd64
    headers:
      description: Whether the headers of that kernel are installed.
      type: bool
    nouveau_loaded:
      description: Whether nouveau is loaded.
      type: bool
    secure_boot:
      description: Whether the firmware lets the kernel load signed modules only. Null without EFI.
      type: bool
    initramfs_stale:
      description: Whether that kernel has an initramfs, older than one of O(initramfs_after).
      type: bool
    driver_predates:
      description: Whether the driver was loaded before one of O(initramfs_after) changed, so that it does not
        run with the parameters that are there now.
      type: bool
    driver:
      description: The driver.
      type: dict
      contains:
        loaded_version:
          description: Version of the module that is loaded.
          type: str
          sample: 535.261.03
        loaded_flavour:
          description: V(open) or V(proprietary).
          type: str
        module_version:
          description: Version of the module on disk that the kernel would load.
          type: str
        module_flavour:
          description: V(open) or V(proprietary).
          type: str
        module_signer:
          description: Who signed it. Null if nobody did.
          type: str
        library_version:
          description: Version of C(libnvidia-ml.so.1).
          type: str
        users:
          description: Processes that hold the GPUs, each with C(pid) and C(command). NVIDIA's own daemons are
            left out.
          type: list
          elements: dict
    smi:
      description: What C(nvidia-smi) answers.
      type: dict
      contains:
        gpus:
          description: The GPUs that it sees, each with C(index), C(uuid), C(name), C(memory_mib) and
            C(driver_version).
          type: list
          elements: dict
        error:
          description: Why it does not see all of them, in one line. Null if nothing is wrong.
          type: str
          sample: "Failed to initialize NVML: Driver/library version mismatch"
    packages:
      description: Installed packages whose names hold C(nvidia) or C(libcuda), each with its C(version) and
        whether it is C(held). Null if neither dpkg nor rpm answers.
      type: dict
      sample: {nvidia-smi: {version: 535.261.03-1, held: true}}
    packages_unfinished:
      description: Whether dpkg was cut off, so that C(dpkg --configure -a) has to finish its work first.
      type: bool
    packages_locked_by:
      description: A process that has dpkg's lock open, such as an apt at work, with C(pid) and C(command).
        Null if there is none.
      type: dict
    machine_id:
      description: The node's C(/etc/machine-id).
      type: str
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.gpulab.pachyderm.plugins.module_utils._nvidia_node import read_node

ARGUMENTS: dict[str, Any] = {
    "kernel": {"type": "str"},
    "initramfs_after": {"type": "list", "elements": "path", "default": []},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # Of other users' processes only root sees whether they hold a GPU.
    if os.geteuid() != 0:
        module.fail_json(msg="nvidia_node_info must run as root: set become to true")
    options = module.params
    kernel = options["kernel"] or os.uname().release
    node = read_node(Path("/"), kernel, options["initramfs_after"], options["timeout"])
    module.exit_json(changed=False, nvidia=node)


if __name__ == "__main__":
    main()

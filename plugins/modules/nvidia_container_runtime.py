#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module nvidia_container_runtime."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container_runtime
short_description: Tell a container engine of NVIDIA's runtime
version_added: 1.0.0
description:
  - Adds the runtime C(nvidia) to the configuration of Docker, containerd or CRI-O, or takes it out again.
  - What others wrote stays. In Docker's C(daemon.json) only keys of NVIDIA's runtime are set. containerd and
    CRI-O get a drop-in file; in containerd's own file one import is added, comments and order stay.
  - The result is checked by the engine itself before it is put in place. A file is replaced whole or not at
    all, keeps its owner, mode and SELinux context, and stays beside the new one as a backup.
    A file that is not valid is refused, with the line.
  - The engine is not restarted; RV(pending) and RV(apply) tell that it has to be.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._attributes
attributes:
  check_mode:
    support: full
    details:
      - Where the engine or C(nvidia-ctk) is not installed yet, a change is predicted and RV(msg) says so.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  runtime:
    description: The container engine.
    type: str
    choices: [docker, containerd, crio]
    required: true
  state:
    description:
      - V(present) makes sure that the engine knows the runtime C(nvidia).
      - V(absent) puts the configuration back as it was. If nobody else wrote into the file since, that is
        byte for byte; otherwise our keys and our import go, the default runtime becomes what it was,
        and the rest stays.
        What nvidia-docker2 or C(nvidia-ctk) wrote of the same runtime goes as well.
    type: str
    choices: [present, absent]
    default: present
  set_as_default:
    description:
      - Whether containers that name no runtime get NVIDIA's.
      - V(false) takes back what this module did; if others made C(nvidia) the default, it stays so.
    type: bool
    default: false
  cdi:
    description:
      - Whether the engine itself takes devices by CDI names. Left as it is if not given.
      - containerd has it from 1.7, Docker from 25.0. CRI-O always has it, and the option says nothing to it.
    type: bool
  runtime_path:
    description: The program that is to be the runtime.
    type: path
    default: /usr/bin/nvidia-container-runtime
  config:
    description:
      - The engine's configuration file. By default C(/etc/docker/daemon.json),
        C(/etc/containerd/config.toml) or C(/etc/crio/crio.conf).
    type: path
  drop_in:
    description:
      - The file that is written for containerd or CRI-O. By default
        C(/etc/containerd/conf.d/99-nvidia.toml) or C(/etc/crio/crio.conf.d/99-nvidia.toml).
      - It is made anew on each run, so that a later change of the engine's own file takes effect.
    type: path
  executable:
    description:
      - The engine's program, which checks the result. C(dockerd), C(containerd) or C(crio) if not given.
    type: path
notes:
  - Needs Python 3.8 or newer and root on the node; C(nvidia-ctk) for containerd and CRI-O.
  - Before anything is changed the file C(/run/gpulab-nvidia/RUNTIME.restart) is written, and stays until the
    caller has restarted or reloaded the engine and removed it. So a play that was killed before the restart
    is not forgotten by the next; a boot has the same effect and clears it.
  - 'Docker 20.10 and 26.1 take C(runtimes) and C(default-runtime) from the file at a reload (SIGHUP); a
    runtime that is gone from C(runtimes) is gone. If the whole key is gone, the old value stays in force
    until a restart. C(features.cdi) is read at the start only. RV(apply) follows from that.'
  - Docker 26.1 has C(--validate), 20.10 has not. With 20.10 only the JSON is checked.
  - What was there before is kept in C(/var/lib/gpulab-nvidia/RUNTIME.json), which only root can read.
  - k3s and RKE2 write containerd's configuration at each start, and find the runtime by themselves.
seealso:
  - module: gpulab.pachyderm.nvidia_container_toolkit_config
"""

EXAMPLES = r"""
- name: Tell Docker of the runtime
  gpulab.pachyderm.nvidia_container_runtime:
    runtime: docker
  register: runtime

- name: Let Docker take it
  ansible.builtin.systemd_service:
    name: docker
    state: "{{ runtime.apply }}ed"
  when: runtime.pending

- name: That is done
  ansible.builtin.file:
    path: /run/gpulab-nvidia/docker.restart
    state: absent

- name: NVIDIA's runtime for every pod, with devices by CDI
  gpulab.pachyderm.nvidia_container_runtime:
    runtime: containerd
    set_as_default: true
    cdi: true

- name: An engine with files and programs in places of its own
  gpulab.pachyderm.nvidia_container_runtime:
    runtime: containerd
    runtime_path: /opt/nvidia/bin/nvidia-container-runtime
    config: /opt/lab/etc/containerd/config.toml
    drop_in: /opt/lab/etc/containerd/conf.d/99-nvidia.toml
    executable: /opt/lab/bin/containerd

- name: CRI-O as it was before
  gpulab.pachyderm.nvidia_container_runtime:
    runtime: crio
    state: absent
"""

RETURN = r"""
files:
  description: The files that were changed; in check mode those that would be.
  returned: success
  type: list
  elements: path
  sample: [/etc/containerd/conf.d/99-nvidia.toml, /etc/containerd/config.toml]
pending:
  description: Whether the engine has to take up a change, of this run or of one that was killed.
  returned: success
  type: bool
apply:
  description: How it does that; null if RV(pending) is false.
  returned: success
  type: str
  choices: [reload, restart]
backup_file:
  description: The engine's file as it was, under another name beside it; null if it was not replaced.
  returned: success
  type: str
  sample: /etc/docker/daemon.json.2026-05-20@08:15:00.417108226~
msg:
  description: Why the prediction is a guess.
  returned: in check mode, where the engine or C(nvidia-ctk) is not installed yet
  type: str
"""

import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime import DEFAULTS, execute
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    MissingToolError,
    Options,
    RuntimeConfigError,
    Tools,
)

ARGUMENTS: dict[str, Any] = {
    "runtime": {"type": "str", "choices": ["docker", "containerd", "crio"], "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "set_as_default": {"type": "bool", "default": False},
    "cdi": {"type": "bool"},
    "runtime_path": {"type": "path", "default": "/usr/bin/nvidia-container-runtime"},
    "config": {"type": "path"},
    "drop_in": {"type": "path"},
    "executable": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    defaults = DEFAULTS[module.params["runtime"]]
    filled = {
        name: module.params[name] or getattr(defaults, name) for name in ("config", "drop_in", "executable")
    }
    options = Options(**{**module.params, **filled})
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
            result = execute(options, Tools(Path(scratch)), module.atomic_move, module.check_mode)
    except MissingToolError as error:
        module.fail_json(msg=f"{error}: install it before {options.runtime} is told of NVIDIA's runtime")
    except RuntimeConfigError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module nvidia_container_toolkit_config."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_container_toolkit_config
short_description: Set options of NVIDIA's container toolkit
version_added: 1.0.0
description:
  - Merges settings into the configuration of NVIDIA's container runtime. All other settings, and comments,
    stay as they are.
  - C(nvidia-ctk) checks names and types of the settings on a copy of the file. The file is replaced whole or
    not at all.
  - The runtime reads the file for each container; nothing has to be restarted.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._attributes
attributes:
  check_mode:
    support: full
    details:
      - Where C(nvidia-ctk) is not installed yet, a change is predicted and RV(msg) says so.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  settings:
    description:
      - Settings by their dotted key, as C(nvidia-ctk config --set) takes them.
      - A value is a text, a number, a boolean or a list of texts.
    type: dict
    required: true
  config:
    description:
      - The file. If there is none, it is made with the toolkit's defaults.
    type: path
    default: /etc/nvidia-container-runtime/config.toml
seealso:
  - module: gpulab.pachyderm.nvidia_container_runtime
"""

EXAMPLES = r"""
- name: Let containers get GPUs by CDI
  gpulab.pachyderm.nvidia_container_toolkit_config:
    settings:
      nvidia-container-runtime.mode: cdi

- name: Take GPUs of unprivileged containers from the device plugin's mounts only
  gpulab.pachyderm.nvidia_container_toolkit_config:
    settings:
      accept-nvidia-visible-devices-envvar-when-unprivileged: false
      accept-nvidia-visible-devices-as-volume-mounts: true

- name: Write what the runtime does to its log, in a file in another place
  gpulab.pachyderm.nvidia_container_toolkit_config:
    config: /opt/nvidia/etc/config.toml
    settings:
      nvidia-container-runtime.log-level: debug
"""

RETURN = r"""
backup_file:
  description: The file as it was, beside the new one; null if nothing was changed or there was none.
  returned: success
  type: str
  sample: /etc/nvidia-container-runtime/config.toml.2026-05-20@08:15:00.417108226~
msg:
  description: Why the prediction is a guess.
  returned: in check mode, where C(nvidia-ctk) is not installed yet
  type: str
"""

import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_toolkit import execute
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    MissingToolError,
    RuntimeConfigError,
    Tools,
)

ARGUMENTS: dict[str, Any] = {
    "settings": {"type": "dict", "required": True},
    "config": {"type": "path", "default": "/etc/nvidia-container-runtime/config.toml"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir) as scratch:
            result = execute(
                module.params["config"],
                module.params["settings"],
                Tools(Path(scratch)),
                module.atomic_move,
                module.check_mode,
            )
    except MissingToolError as error:
        if module.check_mode:
            module.exit_json(changed=True, backup_file=None, msg=f"{error} yet: settings would be made then")
        module.fail_json(msg=f"{error}: install the package nvidia-container-toolkit first")
    except RuntimeConfigError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

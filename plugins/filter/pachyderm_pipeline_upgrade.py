# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter pachyderm_pipeline_upgrade."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pachyderm_pipeline_upgrade
short_description: Bring a pipeline spec of Pachyderm 1.x into the form of 2.x
version_added: 1.0.0
description:
  - Converts a spec as M(gpulab.pachyderm.pachyderm_pipeline) does by itself, and tells what it has changed.
    So a spec can be looked at, and kept, in its new form.
  - A spec of 2.x comes out as it went in, with no changes.
  - What 2.x has no counterpart of, where leaving it out would change the results, is an error.
author:
  - gpulab contributors (@gpulab)
options:
  _input:
    description: The spec.
    type: dict
    required: true
seealso:
  - module: gpulab.pachyderm.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Upgrade a spec
  ansible.builtin.set_fact:
    upgraded: "{{ lookup('ansible.builtin.file', 'gpu-1.x.json') | from_json
                  | gpulab.pachyderm.pachyderm_pipeline_upgrade }}"

- name: Keep it in its new form
  ansible.builtin.copy:
    content: "{{ upgraded.spec | to_nice_json }}"
    dest: gpu.json
    mode: "0644"

- name: Say what has changed
  ansible.builtin.debug:
    msg: "{{ upgraded.changes }}"
"""

RETURN = r"""
_value:
  description: The spec and what has changed in it.
  type: dict
  contains:
    spec:
      description: The spec in the form of 2.x.
      type: dict
    changes:
      description: A line for each thing that was converted or dropped. Empty for a spec of 2.x.
      type: list
      elements: str
  sample:
    spec: {pipeline: {name: gpu}, input: {pfs: {repo: data, glob: /*}}}
    changes: [input.atom is now input.pfs]
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._spec_1x import convert


def upgrade(spec: object) -> dict[str, Any]:
    """The spec in the form of 2.x, and a line for each change."""
    if not isinstance(spec, Mapping):
        raise AnsibleFilterError("pachyderm_pipeline_upgrade: takes one spec, which is a mapping")
    try:
        converted, changes = convert(spec)
    except PachydermError as error:
        raise AnsibleFilterError(f"pachyderm_pipeline_upgrade: {error}") from error
    return {"spec": converted, "changes": changes}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pachyderm_pipeline_upgrade": upgrade}

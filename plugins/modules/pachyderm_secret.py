#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_secret."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_secret
short_description: Manage secrets that Pachyderm's pipelines use
version_added: 1.0.0
description:
  - Creates, replaces and deletes secrets, which pipelines name in C(transform.secrets). On Kubernetes they
    are its secrets in pachd's namespace.
  - Pachyderm gives no value back. To tell whether values differ all the same, the module keeps a digest of
    them, salted and slow to compute (scrypt), as the secret's C(type). Only those can read it who may list
    secrets. A secret that somebody else made has none, so it is replaced once.
  - Values are in no output, diff or log.
  - Pachyderm has no call that changes a secret. It is deleted and created again. Pods that start in between
    wait for it, and pods that run keep what they have until their pipeline is started anew.
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._connection
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.actiongroup
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Keys are shown, values are not.
  idempotent:
    support: partial
    details:
      - Not with O(update=always).
options:
  name:
    description:
      - Name of the secret. Lower-case letters, digits, C(-) and C(.).
      - Mutually exclusive with O(secrets); one of them is required.
    type: str
  data:
    description:
      - Values as text, by key. These are all keys that the secret has, with those of O(files).
    type: dict
  files:
    description:
      - Paths of files on the host where the module runs, by key. Their content is the value, byte for byte.
    type: dict
  type:
    description:
      - Type of the secret, such as V(kubernetes.io/dockerconfigjson). It leaves no room for the digest, so
        O(update) must say what to do.
    type: str
  update:
    description:
      - V(changed) replaces a secret that exists when its values are not the declared ones.
      - V(always) replaces it in each run.
      - V(on_create) leaves one that exists as it is.
    type: str
    choices: [changed, always, on_create]
    default: changed
  state:
    description:
      - V(present) makes sure that the secret exists.
      - V(absent) deletes it.
    type: str
    choices: [present, absent]
    default: present
  secrets:
    description:
      - Several secrets at once.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      data:
        description: As O(data).
        type: dict
      files:
        description: As O(files).
        type: dict
      type:
        description: As O(type), which also holds where this is not given.
        type: str
      update:
        description: As O(update), which also holds where this is not given.
        type: str
        choices: [changed, always, on_create]
      state:
        description: As O(state), which also holds where this is not given.
        type: str
        choices: [present, absent]
seealso:
  - module: gpulab.pachyderm.pachyderm_pipeline
"""

EXAMPLES = r"""
- name: Give pipelines the password of the data base
  gpulab.pachyderm.pachyderm_secret:
    name: database
    data:
      user: reader
      password: "{{ vault_database_password }}"

- name: Give them a key file, and delete what they no longer need
  gpulab.pachyderm.pachyderm_secret:
    secrets:
      - name: bucket
        files:
          key.json: /etc/lab/bucket.json
      - name: old
        state: absent

- name: Give Kubernetes what it pulls images with, once
  gpulab.pachyderm.pachyderm_secret:
    name: pull
    type: kubernetes.io/dockerconfigjson
    files:
      .dockerconfigjson: /etc/lab/docker.json
    update: on_create
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: update, kind: secret, name: database}]
secrets:
  description: The declared secrets that exist now; in check mode those that would.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the secret.
      type: str
    keys:
      description: The declared keys, sorted.
      type: list
      elements: str
  sample: [{name: database, keys: [password, user]}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module
from ansible_collections.gpulab.pachyderm.plugins.module_utils._secrets import parse_secrets, run_secrets

UPDATES = ["changed", "always", "on_create"]
STATES = ["present", "absent"]
ITEM: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "data": {"type": "dict", "no_log": True},
    "files": {"type": "dict"},
    "type": {"type": "str"},
    "update": {"type": "str", "choices": UPDATES},
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str"},
    "data": {"type": "dict", "no_log": True},
    "files": {"type": "dict"},
    "type": {"type": "str"},
    "update": {"type": "str", "choices": UPDATES, "default": "changed"},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "secrets": {"type": "list", "elements": "dict", "options": ITEM, "no_log": False},
}


def main() -> None:
    either = [("name", "secrets")]
    run_module(ARGUMENTS, parse_secrets, run_secrets, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

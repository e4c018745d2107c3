#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_file
short_description: Manage single files in branches of Pachyderm
version_added: 1.0.0
description:
  - Writes small files into a branch, from text, from a file of the host where the module runs, or from a
    URL that pachd fetches, and deletes files.
  - All files of one branch are written by one commit. There is none if all are as declared; content is
    compared by hash, without reading it.
  - For directories, and for files of more than 64 MiB, use M(gpulab.pachyderm.pachyderm_sync).
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._connection
  - gpulab.pachyderm._attributes
  - gpulab.pachyderm._attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - A repo that does not exist is a warning in check mode, where an earlier task may be about to create
        it, and an error otherwise.
  diff_mode:
    support: full
    details:
      - Paths and sizes in bytes are shown, contents are not.
  idempotent:
    support: partial
    details:
      - Not with O(url) and O(force).
options:
  path:
    description:
      - Path of the file in the branch. Directories come about by themselves.
      - Mutually exclusive with O(files); one of them is required.
    type: str
  repo:
    description:
      - Repo of the branch. It must exist.
    type: str
  branch:
    description:
      - Name of the branch. One that does not exist comes about.
    type: str
    default: master
  project:
    description:
      - Project that holds the repo.
    type: str
    default: default
  content:
    description:
      - The content, as text; a template of a task's own, or C(lookup('ansible.builtin.template', ...)).
      - One of O(content), O(src) and O(url) is required with O(state=present).
    type: raw
  src:
    description:
      - Path of a file on the host where the module runs, at most 64 MiB.
    type: path
  url:
    description:
      - Where pachd fetches the file from. Of a file that exists already nothing is fetched or compared,
        but with O(force).
    type: str
  force:
    description:
      - Fetch a O(url) again although the file exists.
    type: bool
    default: false
  state:
    description:
      - V(present) makes sure that the file has this content.
      - V(absent) deletes it; a directory with all that is in it.
    type: str
    choices: [present, absent]
    default: present
  files:
    description:
      - Several files at once.
    type: list
    elements: dict
    suboptions:
      path:
        description: As O(path).
        type: str
        required: true
      repo:
        description: As O(repo), which also holds where this is not given.
        type: str
      branch:
        description: As O(branch), which also holds where this is not given.
        type: str
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      content:
        description: As O(content).
        type: raw
      src:
        description: As O(src).
        type: path
      url:
        description: As O(url).
        type: str
      force:
        description: As O(force), which also holds where this is not given.
        type: bool
      state:
        description: As O(state), which also holds where this is not given.
        type: str
        choices: [present, absent]
seealso:
  - module: gpulab.pachyderm.pachyderm_sync
  - module: gpulab.pachyderm.pachyderm_fetch
"""

EXAMPLES = r"""
- name: Keep the parameters of a training beside its data
  gpulab.pachyderm.pachyderm_file:
    repo: parameters
    path: /train.yml
    content: "{{ training | ansible.builtin.to_nice_yaml }}"

- name: Write several files by one commit
  gpulab.pachyderm.pachyderm_file:
    repo: parameters
    files:
      - path: /labels.csv
        src: /srv/lab/labels.csv
      - path: /weights.bin
        url: https://models.example.com/weights.bin
      - path: /old
        state: absent

- name: Fetch a file again that may be another one by now
  gpulab.pachyderm.pachyderm_file:
    project: vision
    repo: parameters
    branch: staging
    path: /weights.bin
    url: https://models.example.com/weights.bin
    force: true
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: commit, kind: branch, name: default/parameters@master}]
files:
  description: The declared files, and what became of each; in check mode what would.
  returned: success
  type: list
  elements: dict
  contains:
    project:
      description: Project that holds the repo.
      type: str
    repo:
      description: Repo of the branch.
      type: str
    branch:
      description: Name of the branch.
      type: str
    path:
      description: Path of the file, with a leading slash.
      type: str
    change:
      description: added, updated, deleted, or none.
      type: str
  sample: [{project: default, repo: parameters, branch: master, path: /train.yml, change: updated}]
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._files import parse_files, run_files
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

STATES = ["present", "absent"]
SOURCE: dict[str, Any] = {"content": {"type": "raw"}, "src": {"type": "path"}, "url": {"type": "str"}}
ITEM: dict[str, Any] = {
    "path": {"type": "str", "required": True},
    "repo": {"type": "str"},
    "branch": {"type": "str"},
    "project": {"type": "str"},
    **SOURCE,
    "force": {"type": "bool"},
    "state": {"type": "str", "choices": STATES},
}
ARGUMENTS: dict[str, Any] = {
    "path": {"type": "str"},
    "repo": {"type": "str"},
    "branch": {"type": "str", "default": "master"},
    "project": {"type": "str", "default": "default"},
    **SOURCE,
    "force": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": STATES, "default": "present"},
    "files": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("path", "files")]
    run_module(ARGUMENTS, parse_files, run_files, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

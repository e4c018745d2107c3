# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup pachyderm_file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pachyderm_file
short_description: Read the text of files in Pachyderm
version_added: 1.0.0
description:
  - Returns the text of a file in a commit, for each term.
  - It runs where Ansible runs. For many files, for long ones and for what is no text use
    M(gpulab.pachyderm.pachyderm_fetch); to look around M(gpulab.pachyderm.pachyderm_info).
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm._connection
  - gpulab.pachyderm._connection.plugin
options:
  _terms:
    description:
      - Files, as C(repo@branch:/path), the way pachctl writes them.
      - In place of the branch there may be the id of a commit. Without C(@) the branch is C(master).
      - C(project/repo@branch:/path) names a project.
    type: list
    elements: str
    required: true
  project:
    description:
      - Project of repos whose term names none. If it is not set, that of the O(context), or C(default).
    type: str
seealso:
  - module: gpulab.pachyderm.pachyderm_fetch
  - module: gpulab.pachyderm.pachyderm_info
"""

EXAMPLES = r"""
- name: Show the leader board
  ansible.builtin.debug:
    msg: "{{ lookup('gpulab.pachyderm.pachyderm_file', 'leaderboard@master:/leaderboard.md') }}"

- name: Read two files by one connection
  ansible.builtin.set_fact:
    models: "{{ query('gpulab.pachyderm.pachyderm_file', 'train:/iris.json', 'vision/train:/mnist.json',
                pachd_address='grpcs://pachyderm.example.com:443') | map('from_json') }}"
"""

RETURN = r"""
_raw:
  description: The text of each file. One that is not UTF-8 is an error.
  type: list
  elements: str
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.gpulab.pachyderm.plugins.module_utils._connection import Pachd
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachdError, PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._info_pfs import file_content
from ansible_collections.gpulab.pachyderm.plugins.module_utils._messages import repo_message
from ansible_collections.gpulab.pachyderm.plugins.module_utils._options import (
    CONNECTION_SPEC,
    ConnectionOptions,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sdk import sdk

_NAME = "[A-Za-z0-9_-]+"
_TERM = re.compile(rf"(?:(?P<project>{_NAME})/)?(?P<repo>{_NAME})(?:@(?P<commit>{_NAME}))?:(?P<path>.+)")
_ID = re.compile("[0-9a-f]{32}")


class LookupModule(LookupBase):
    def run(
        self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            files = [_parse(str(term)) for term in terms]
            given = {name: self.get_option(name) for name in CONNECTION_SPEC}
            options = ConnectionOptions.parse(given)
            project = self.get_option("project") or options.project or "default"
            with Pachd(options) as pachd:
                return [_read(pachd, file, project) for file in files]
        except PachydermError as error:
            raise AnsibleLookupError(f"pachyderm_file: {error}") from error


def _parse(term: str) -> re.Match[str]:
    found = _TERM.fullmatch(term)
    if found is None:
        raise PachydermError(f"{term}: must be repo@branch:/path or project/repo@branch:/path")
    return found


def _read(pachd: Pachd, file: re.Match[str], project: str) -> str:
    pfs = sdk().pfs
    repo = repo_message(file["project"] or project, file["repo"])
    ref = file["commit"] or "master"
    is_id = _ID.fullmatch(ref)
    commit = (
        pfs.Commit(repo=repo, id=ref)
        if is_id
        else pfs.Commit(repo=repo, branch=pfs.Branch(repo=repo, name=ref))
    )
    try:
        return file_content(pachd, commit, file["path"]).decode()
    except PachdError as error:
        raise PachydermError(f"{file[0]}: {error}") from error
    except UnicodeDecodeError as error:
        raise PachydermError(f"{file[0]}: is no text in UTF-8 (byte {error.start})") from error

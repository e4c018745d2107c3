#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_fetch."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_fetch
short_description: Bring files of a Pachyderm branch into a local directory
version_added: 1.0.0
description:
  - Compares the files of a branch with those of a local directory by size and content, and downloads those
    that differ; many of them as one archive. Each is written beside its place and renamed, so nobody sees
    half a file.
  - Reads the newest finished commit of the branch. While a job writes a newer one, this is told by a warning.
    A commit that ended with an error, as that of a failed job, is an error.
  - Local files that the branch does not hold stay, unless O(delete=true).
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
      - A repo, branch or commit that does not exist is a warning in check mode and counts as an empty one,
        since an earlier task may be about to create it. It is an error otherwise.
  diff_mode:
    support: full
    details:
      - Shows paths and sizes, never content, and at most 100 paths of each kind.
  idempotent:
    support: full
    details:
      - A file of 1,000,000 bytes or more that others put together from pieces may have another hash in PFS
        than its content has here. It is downloaded each time.
options:
  dest:
    description:
      - Directory on the host where the module runs, each file at its path in the branch below it. It is made
        if there is something to write. Must be an absolute path.
      - Nothing is written through a link that leads out of it. A file in the place of a directory, or the
        other way round, is an error that names it.
      - Mutually exclusive with O(fetches); one of them is required.
    type: path
  repo:
    description:
      - Name of the repo. Required, here or in each item of O(fetches).
    type: str
  project:
    description:
      - Project that holds the repo.
    type: str
    default: default
  branch:
    description:
      - Name of the branch.
    type: str
    default: master
  commit:
    description:
      - Id of a commit to read in place of the branch.
    type: str
  glob:
    description:
      - Which files, as a glob pattern of Pachyderm. V(/**) is all of them, V(/*) those at the top.
      - A directory that matches does not stand for what is in it. V(/logs/**) takes that.
    type: str
    default: /**
  mode:
    description:
      - Mode of the files, in octal digits and quotes, as V('0644'). Files that are here already get it too.
      - Without it a file keeps the mode of the one that it replaces, and a new one has what the umask leaves.
        PFS keeps no modes.
    type: raw
  directory_mode:
    description:
      - Mode of directories that are made. Those that are here already keep theirs.
    type: raw
  delete:
    description:
      - Delete files and links below O(dest) that the commit does not hold, and directories in which nothing
        is left then. Nothing is deleted while there is nothing to fetch yet.
      - O(glob) must be all of a directory, as V(/**) or V(/logs/**); only what is below it is deleted.
      - Where files are written there may be no links then. A socket, pipe or device is an error that names
        it.
    type: bool
    default: false
  allow_empty:
    description:
      - With O(delete=true), take a commit that holds no file. Then B(all of them are deleted) below O(dest).
        Without it such a commit is an error.
    type: bool
    default: false
  checksum:
    description:
      - V(cached) reads a local file again only if it was changed since an earlier run read it; V(always)
        reads every file that the commit has in the same size.
      - Where hashes are kept, and what is taken as a change, is as in M(gpulab.pachyderm.pachyderm_sync).
    type: str
    choices: [cached, always]
    default: cached
  fetches:
    description:
      - Several fetches at once. All of them are compared before the first file is written.
      - Two of them must not write the same file, nor delete what the other one writes.
    type: list
    elements: dict
    suboptions:
      dest:
        description: As O(dest).
        type: path
        required: true
      repo:
        description: As O(repo), which also holds where this is not given.
        type: str
      project:
        description: As O(project), which also holds where this is not given.
        type: str
      branch:
        description: As O(branch), which also holds where this is not given.
        type: str
      commit:
        description: As O(commit), which also holds where neither this nor O(fetches[].branch) is given.
        type: str
      glob:
        description: As O(glob), which also holds where this is not given.
        type: str
      mode:
        description: As O(mode), which also holds where this is not given.
        type: raw
      directory_mode:
        description: As O(directory_mode), which also holds where this is not given.
        type: raw
      delete:
        description: As O(delete), which also holds where this is not given.
        type: bool
      allow_empty:
        description: As O(allow_empty), which also holds where this is not given.
        type: bool
      checksum:
        description: As O(checksum), which also holds where this is not given.
        type: str
        choices: [cached, always]
seealso:
  - module: gpulab.pachyderm.pachyderm_sync
  - module: gpulab.pachyderm.pachyderm_info
"""

EXAMPLES = r"""
- name: Fetch all results of a pipeline
  gpulab.pachyderm.pachyderm_fetch:
    repo: leaderboard
    dest: /srv/lab/results/leaderboard

- name: Have exactly the results here, for everybody to read
  gpulab.pachyderm.pachyderm_fetch:
    repo: leaderboard
    dest: /srv/lab/results/leaderboard
    delete: true
    mode: "0644"
    directory_mode: "0755"

- name: Fetch pictures of one pipeline and the logs of another
  gpulab.pachyderm.pachyderm_fetch:
    fetches:
      - repo: segment
        glob: /*.png
        dest: /srv/lab/results/pictures
      - project: vision
        repo: train
        glob: /logs/**
        dest: /srv/lab/results/train

- name: Have what one commit held, also if that is nothing, and trust no earlier run
  gpulab.pachyderm.pachyderm_fetch:
    fetches:
      - repo: data
        branch: nightly
        dest: /srv/lab/nightly
      - repo: data
        commit: 5a7ae0e22a8d4e0a9d57d3ed1a8ed5a9
        dest: /srv/lab/then
        delete: true
        allow_empty: true
        checksum: always
"""

RETURN = r"""
actions:
  description: What was fetched, in that order; in check mode what would be.
  returned: success
  type: list
  elements: dict
  sample: [{action: fetch, kind: files, name: "default/gpu@master:/** to /srv/lab/results"}]
fetches:
  description: What came of each fetch, in the order of the option.
  returned: success
  type: list
  elements: dict
  contains:
    project:
      description: Project of the repo.
      type: str
    repo:
      description: Name of the repo.
      type: str
    branch:
      description: Name of the branch.
      type: str
    commit:
      description: Id of the commit that was read. Empty if there is none yet.
      type: str
    glob:
      description: As given.
      type: str
    dest:
      description: The local directory.
      type: str
    changed:
      description: Whether a file was written, or would be in check mode.
      type: bool
    files:
      description: How many files were C(added), C(updated), got another mode (C(modes)), were C(deleted), and
        left C(unchanged).
      type: dict
      sample: {added: 1, updated: 0, modes: 0, deleted: 0, unchanged: 4}
    paths:
      description: The paths in the branch of each kind but C(unchanged), at most 100.
      type: dict
      sample: {added: [/leaderboard.md], updated: [], modes: [], deleted: []}
    bytes_downloaded:
      description: Size of all files that were downloaded; in check mode of those that would be.
      type: int
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._fetch import parse_fetches, run_fetches
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module

CHECKSUMS = ["cached", "always"]
ITEM: dict[str, Any] = {
    "dest": {"type": "path", "required": True},
    "repo": {"type": "str"},
    "project": {"type": "str"},
    "branch": {"type": "str"},
    "commit": {"type": "str"},
    "glob": {"type": "str"},
    "mode": {"type": "raw"},
    "directory_mode": {"type": "raw"},
    "delete": {"type": "bool"},
    "allow_empty": {"type": "bool"},
    "checksum": {"type": "str", "choices": CHECKSUMS},
}
ARGUMENTS: dict[str, Any] = {
    "dest": {"type": "path"},
    "repo": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "branch": {"type": "str", "default": "master"},
    "commit": {"type": "str"},
    "glob": {"type": "str", "default": "/**"},
    "mode": {"type": "raw"},
    "directory_mode": {"type": "raw"},
    "delete": {"type": "bool", "default": False},
    "allow_empty": {"type": "bool", "default": False},
    "checksum": {"type": "str", "choices": CHECKSUMS, "default": "cached"},
    "fetches": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("dest", "fetches")]
    run_module(ARGUMENTS, parse_fetches, run_fetches, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

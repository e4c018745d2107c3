#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_sync."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_sync
short_description: Bring a local directory into a branch of a Pachyderm repo
version_added: 1.0.0
description:
  - Compares a local tree with the head of a branch by content, and makes one commit with what differs.
    Nothing at all is written, and no job is started, when they are equal.
  - Adds to the branch by default. With O(delete=true) the branch holds exactly the tree afterwards.
  - Files are compared by size and by the hash that PFS keeps of their content. Times and modes do not count;
    PFS keeps neither, and no empty directories.
  - Links to files inside of the tree count as those files. Other links, sockets, pipes and devices,
    unreadable files, and names that PFS refuses are errors that name them; nothing is committed then.
  - Where several syncs meet on one branch, each commit is that of one of them; who is late compares again. A
    B(put by another program) in the moment in which the commit is filled goes into the same commit.
  - The branch is created by the first commit. The repo must exist.
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
      - A repo that does not exist is a warning in check mode and counts as an empty one, since an earlier
        task may be about to create it. It is an error otherwise.
  diff_mode:
    support: full
    details:
      - Shows paths and sizes, never content, and at most 100 paths of each kind.
  idempotent:
    support: full
    details:
      - A file of 1,000,000 bytes or more that others put together from pieces may have another hash in PFS.
        It is uploaded once, and is equal from then on.
options:
  src:
    description:
      - Directory or file on the host where the module runs.
      - The content of a directory goes below O(dest), not the directory itself.
      - Mutually exclusive with O(syncs); one of them is required.
    type: path
  repo:
    description: Name of the repo. Required, here or in each item of O(syncs).
    type: str
  project:
    description: Project that holds the repo.
    type: str
    default: default
  branch:
    description: Name of the branch. It is created if it does not exist.
    type: str
    default: master
  dest:
    description:
      - Where in the branch the tree goes.
      - If O(src) is a file, this is the path of the file or, with a slash at its end, of a directory for it.
    type: str
    default: /
  delete:
    description:
      - Delete what the branch holds below O(dest) and the tree does not. Older commits still hold it.
      - Needs a directory as O(src).
    type: bool
    default: false
  allow_empty:
    description:
      - Take a directory that holds no file. With O(delete=true) this B(empties the branch) below O(dest).
      - Without it such a directory is an error, as a wrong path or a disk that is not mounted looks the same.
    type: bool
    default: false
  description:
    description:
      - Text for the commit. Without it the commit says how many files were added, updated and deleted.
    type: str
  include:
    description:
      - Patterns of files that count, as paths below O(src). Without it all do, with an empty list none.
      - A pattern without a slash is the name of a file or directory at any depth, one with a slash is a path
        from O(src) on, one that ends with a slash is a directory. What is in a directory that matches counts.
        C(*), C(?) and C([...]) stay within a name, C(**) does not.
      - What does not count is neither uploaded nor, with O(delete=true), deleted from the branch.
    type: list
    elements: str
  exclude:
    description:
      - Patterns, as in O(include), of files that do not count although they are included. Whatever they match
        may also be a link, a socket, or have a name that PFS refuses.
    type: list
    elements: str
  checksum:
    description:
      - V(cached) reads a file again only if its device, inode, size, time of change (mtime, nanoseconds) or
        time of the last change to any of that (ctime) is another than when it was last read. So it sees an
        edit that puts mtime back. It does not see what goes past the file system, as a damaged disk does.
      - V(always) reads every file that the branch has in the same size.
      - With either, a commit that was compared with O(src) and found to hold it is not listed again, as a
        finished commit never changes. It is listed where the head of the branch, the cluster, an option of
        this sync, or a path, size or hash of the tree is another one, and by the run after one that wrote.
      - Hashes are kept in C($XDG_CACHE_HOME/gpulab.pachyderm) (C(~/.cache/gpulab.pachyderm)) of the user that
        the module runs as, also in check mode, one file for each O(src), and beside them a small file for
        each sync that tells which commit was compared, readable by that user only. They may be deleted at any
        time. The hash of a file that was changed less than two seconds before it was read is not kept.
    type: str
    choices: [cached, always]
    default: cached
  syncs:
    description:
      - Several trees at once. All of them are read and compared before the first commit.
      - Two of them must not write the same file, nor delete what the other one writes, nor need a directory
        where the other one writes a file.
    type: list
    elements: dict
    suboptions:
      src:
        description: As O(src).
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
      dest:
        description: As O(dest), which also holds where this is not given.
        type: str
      delete:
        description: As O(delete), which also holds where this is not given.
        type: bool
      allow_empty:
        description: As O(allow_empty), which also holds where this is not given.
        type: bool
      description:
        description: As O(description), which also holds where this is not given.
        type: str
      include:
        description: As O(include), which also holds where this is not given.
        type: list
        elements: str
      exclude:
        description: As O(exclude), which also holds where this is not given.
        type: list
        elements: str
      checksum:
        description: As O(checksum), which also holds where this is not given.
        type: str
        choices: [cached, always]
seealso:
  - module: gpulab.pachyderm.pachyderm_repo
  - module: gpulab.pachyderm.pachyderm_info
  - module: ansible.posix.synchronize
"""

EXAMPLES = r"""
- name: Make the branch hold exactly what the directory holds
  gpulab.pachyderm.pachyderm_sync:
    src: /srv/lab/data
    repo: data
    delete: true

- name: Add one file
  gpulab.pachyderm.pachyderm_sync:
    src: /srv/lab/new/iris.csv
    repo: data
    dest: /tables/

- name: Bring all inputs of the lab into place at once
  gpulab.pachyderm.pachyderm_sync:
    branch: master
    delete: true
    syncs:
      - src: /srv/lab/data
        repo: data
      - src: /srv/lab/images
        project: vision
        repo: images
        dest: /raw

- name: Upload the tables but those of today, say why, and read each file whatever its time says
  gpulab.pachyderm.pachyderm_sync:
    src: /srv/lab/tables
    repo: data
    include: ["*.csv"]
    exclude: [today/]
    description: what the disk had lost
    checksum: always

- name: Hold what a directory holds, also if that is nothing
  gpulab.pachyderm.pachyderm_sync:
    src: /srv/lab/inbox
    project: vision
    repo: inbox
    delete: true
    allow_empty: true
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: commit, kind: branch, name: default/data@master}]
syncs:
  description: What came of each sync, in the order of the option.
  returned: success
  type: list
  elements: dict
  contains:
    src:
      description: As given.
      type: str
    project:
      description: Project of the repo.
      type: str
    repo:
      description: Name of the repo.
      type: str
    branch:
      description: Name of the branch.
      type: str
    dest:
      description: Where in the branch the tree is.
      type: str
    changed:
      description: Whether this sync made a commit, or would make one in check mode.
      type: bool
    commit:
      description:
        - Id of the commit that holds the tree. If nothing was written this is the head of the branch, and
          empty if there is no branch yet.
      type: str
    files:
      description: How many files were C(added), C(updated), C(deleted), and left C(unchanged).
      type: dict
      sample: {added: 1, updated: 0, deleted: 0, unchanged: 4}
    paths:
      description: The paths that were C(added), C(updated) and C(deleted), at most 100 of each.
      type: dict
      sample: {added: [/diabetes.csv], updated: [], deleted: []}
    bytes_uploaded:
      description: Size of all files that were sent; in check mode of those that would be.
      type: int
"""

from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import run_module
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync import parse_syncs, run_syncs

CHECKSUMS = ["cached", "always"]
ITEM: dict[str, Any] = {
    "src": {"type": "path", "required": True},
    "repo": {"type": "str"},
    "project": {"type": "str"},
    "branch": {"type": "str"},
    "dest": {"type": "str"},
    "delete": {"type": "bool"},
    "allow_empty": {"type": "bool"},
    "description": {"type": "str"},
    "include": {"type": "list", "elements": "str"},
    "exclude": {"type": "list", "elements": "str"},
    "checksum": {"type": "str", "choices": CHECKSUMS},
}
ARGUMENTS: dict[str, Any] = {
    "src": {"type": "path"},
    "repo": {"type": "str"},
    "project": {"type": "str", "default": "default"},
    "branch": {"type": "str", "default": "master"},
    "dest": {"type": "str", "default": "/"},
    "delete": {"type": "bool", "default": False},
    "allow_empty": {"type": "bool", "default": False},
    "description": {"type": "str"},
    "include": {"type": "list", "elements": "str"},
    "exclude": {"type": "list", "elements": "str"},
    "checksum": {"type": "str", "choices": CHECKSUMS, "default": "cached"},
    "syncs": {"type": "list", "elements": "dict", "options": ITEM},
}


def main() -> None:
    either = [("src", "syncs")]
    run_module(ARGUMENTS, parse_syncs, run_syncs, mutually_exclusive=either, required_one_of=either)


if __name__ == "__main__":
    main()

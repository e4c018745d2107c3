# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that `export` writes and /seed reads.

    manifest.json                            what there is, in the order in which it can be made
    repos/<project>/<repo>/<branch>/...      the files of a branch's head
    pipelines/<project>/<pipeline>.json      a spec as its user wrote it
    outputs/<project>/<pipeline>/<branch>/   the same of pipelines, with --outputs; not read again

manifest.json: {"format": 1, "projects": [{name, description}],
 "repos": [{project, name, description, branches: [{name, commit, provenance: [PROJECT/REPO@BRANCH]}]}],
 "pipelines": [{project, name, stopped}]}
"""

from __future__ import annotations

import re
from pathlib import Path

FORMAT = 1
MANIFEST = "manifest.json"


class TransferError(Exception):
    """The text is one line for the user."""


def files_of_branch(directory: Path, project: str, repo: str, branch: str, outputs: bool = False) -> Path:
    return (
        directory / ("outputs" if outputs else "repos") / checked(project) / checked(repo) / checked(branch)
    )


def file_of_pipeline(directory: Path, project: str, name: str) -> Path:
    return directory / "pipelines" / checked(project) / f"{checked(name)}.json"


def checked(name: str) -> str:
    """A name of Pachyderm's, which never leads out of a directory. Raises TransferError for others."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise TransferError(f"{name!r} is no name of a project, repo, branch or pipeline")
    return name

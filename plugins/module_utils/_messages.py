# SPDX-License-Identifier: GPL-3.0-or-later
"""What is named by project and name, as messages of the SDK. PRIVATE: it may change at any time."""

from __future__ import annotations

from typing import Any

from ._sdk import sdk


def repo_message(project: str, name: str) -> Any:
    """A repo of users, not one of a pipeline's specs or datums."""
    pfs = sdk().pfs
    return pfs.Repo(name=name, type="user", project=pfs.Project(name=project))


def branch_message(project: str, repo: str, name: str) -> Any:
    return sdk().pfs.Branch(repo=repo_message(project, repo), name=name)


def pipeline_message(project: str, name: str) -> Any:
    return sdk().pps.Pipeline(name=name, project=sdk().pfs.Project(name=project))

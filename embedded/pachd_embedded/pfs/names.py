# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that pachd 2.12 takes for repos, branches, projects and pipelines.

Each check returns None or raises PachError (UNKNOWN) with pachd's text. Lengths are in characters.
"""

from __future__ import annotations

import json
import re

from pachd_embedded.errors import PachError, unknown

# Kubernetes names are 63 characters; a pipeline's controller is "<project>-<pipeline>-v<version>".
KUBERNETES_NAME_MAX = 63
PIPELINE_NAME_MAX = 51
PROJECT_NAME_MAX = 51

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_COMMIT_ID = re.compile(r"[0-9a-f]{12}4[0-9a-f]{19}")
_ANCESTRY = re.compile(r"[~^.]")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _too_long(kind: str, name: str, limit: int) -> PachError:
    return unknown(f"{kind} {_quoted(name)} is {len(name) - limit} characters longer than the {limit} max")


def _check_characters(name: str, prefix: str = "") -> None:
    if not _NAME.fullmatch(name):
        allowed = "only alphanumeric characters, underscores, and dashes are allowed"
        raise unknown(f"{prefix}name ({name}) invalid: {allowed}")


def check_repo_name(name: str) -> None:
    """A repo's name: letters, digits, "_" and "-", with any of them first; no limit of length."""
    _check_characters(name)


def check_branch_name(name: str) -> None:
    """A branch's name: as a repo's, but not what could be a commit id."""
    _check_characters(name)
    if _COMMIT_ID.fullmatch(name):
        raise unknown("branch name cannot be a UUID V4")


def check_project_name(name: str) -> None:
    """A project's name: at most PROJECT_NAME_MAX, a letter or digit first."""
    prefix = "invalid project name: "
    if len(name) > PROJECT_NAME_MAX:
        raise _too_long(f"{prefix}project name", name, PROJECT_NAME_MAX)
    _check_characters(name, prefix)
    if not name[0].isalnum():
        raise unknown(f"{prefix}project names must start with an alphanumeric character")


def check_pipeline_name(name: str, project: str = "default") -> None:
    """A pipeline's name: at most PIPELINE_NAME_MAX, a letter or digit first, short enough for Kubernetes."""
    if not name:
        raise unknown("invalid pipeline spec: request.Pipeline.Name cannot be empty")
    _check_ancestry(name)
    _check_characters(name, "invalid pipeline name: ")
    if len(name) > PIPELINE_NAME_MAX:
        raise _too_long("pipeline name", name, PIPELINE_NAME_MAX)
    # pachd leaves room for versions of two digits.
    controller = f"{project}-{name}-v99".replace("_", "-").lower()
    if len(controller) > KUBERNETES_NAME_MAX:
        raise _too_long("Kubernetes name", controller, KUBERNETES_NAME_MAX)
    if not name[0].isalnum():
        raise unknown("pipeline names must start with an alphanumeric character")


def _check_ancestry(name: str) -> None:
    """pachd looks a pipeline up before it validates it, and there "^", "~" and "." mean ancestors."""
    found = _ANCESTRY.search(name)
    if found is None:
        return
    separator, rest = found[0], name[found.end() :]
    if re.fullmatch(r"[+-]?[0-9]+", rest):
        return
    other = next((character for character in rest if character != separator), None)
    if other is not None:
        raise unknown(
            f"invalid ancestry syntax {_quoted(name)}, cannot mix {separator} and {other} characters"
        )

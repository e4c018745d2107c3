# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd takes as a name. PRIVATE to the collection: it may change at any time.

The rules are pachd 2.12's, plus one of Kubernetes for pipelines: they are checked before anything is written.
Each function returns the name, or raises PachydermError with the option that holds it.
"""

from __future__ import annotations

import re

from ._errors import PachydermError

# Kubernetes puts project and pipeline into names of 63 characters, of which pachd keeps 12.
MAX_NAME = 51
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_UUID_V4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{19}")


def repo_name(name: str, where: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise PachydermError(f'{where}: repo name "{name}": only letters, digits, - and _ are allowed')
    return name


def branch_name(name: str, where: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise PachydermError(f'{where}: branch name "{name}": only letters, digits, - and _ are allowed')
    if _UUID_V4.fullmatch(name):
        raise PachydermError(
            f'{where}: branch name "{name}": looks like a commit id (UUID version 4); choose another'
        )
    return name


def project_name(name: str, where: str) -> str:
    _check_started_and_short("project", name, where)
    return name


def pipeline_name(name: str, where: str) -> str:
    _check_started_and_short("pipeline", name, where)
    if name.endswith(("-", "_")):
        raise PachydermError(
            f'{where}: pipeline name "{name}": must end with a letter or a digit, as labels of Kubernetes do'
        )
    return name


def _check_started_and_short(kind: str, name: str, where: str) -> None:
    if not _PLAIN.fullmatch(name):
        raise PachydermError(f'{where}: {kind} name "{name}": only letters, digits, - and _ are allowed')
    if not name[0].isalnum():
        raise PachydermError(f'{where}: {kind} name "{name}": must start with a letter or a digit')
    if len(name) > MAX_NAME:
        excess = len(name) - MAX_NAME
        raise PachydermError(
            f'{where}: {kind} name "{name}": {excess} characters longer than the {MAX_NAME} that are allowed'
        )

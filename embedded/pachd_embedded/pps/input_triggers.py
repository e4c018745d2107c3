# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs with a trigger: the branch that such an input reads follows the one that its trigger names."""

from __future__ import annotations

from typing import Any

from pachyderm_sdk.api import pps

from ..errors import PachError
from ..pfs.branches import Branches
from ..pfs.model import BranchKey, RepoKey
from ..pfs.triggers import Trigger
from .inputs import is_set, walk_inputs


def set_triggers(branches: Branches, request: Any) -> None:
    """Give these branches their triggers. `request` has its names filled in; the repos are there."""
    for node in walk_inputs(request.input):
        if not isinstance(node, pps.PfsInput) or not is_set(node.trigger):
            continue
        key = BranchKey(RepoKey(node.project, node.repo, node.repo_type), node.branch)
        try:
            branches.create(key, None, [], Trigger.of(node.trigger))
        except PachError as error:
            text = f"could not create/update trigger branch: {error.text}"
            raise PachError(error.code, text) from None

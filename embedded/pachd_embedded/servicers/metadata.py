# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import betterproto
from pachyderm_sdk.api import metadata

from ..errors import PachError, invalid_argument
from ..metadata import Edit, Metadata, Target, Values, add_key, delete_key, edit_key, replace
from ..pps.model import PipelineKey
from .messages import Context, picked_branch, picked_commit, picked_repo, project_name

_TARGETS: dict[str, Callable[[Any], Target]] = {
    "project": project_name,
    "repo": picked_repo,
    "branch": picked_branch,
    "commit": picked_commit,
    "cluster": lambda _picker: None,
    "pipeline": lambda picker: PipelineKey(project_name(picker.name.project), picker.name.name),
}


class MetadataServicer:
    def __init__(self, service: Metadata) -> None:
        self._metadata = service

    def edit_metadata(self, request: Any, _context: Context) -> Any:
        edits = [_edit(number, edit) for number, edit in enumerate(request.edits)]
        self._metadata.apply(edits)
        return metadata.EditMetadataResponse()


def _edit(number: int, edit: Any) -> Edit:
    kind, picker = betterproto.which_one_of(edit, "target")
    if not kind:
        raise _invalid(number, "Edit.Target: value is required")
    return Edit(_TARGETS[kind](picker), _change(number, edit))


def _change(number: int, edit: Any) -> Callable[[Values], Values]:
    kind, operation = betterproto.which_one_of(edit, "op")
    if not kind:
        raise _invalid(number, "Edit.Op: value is required")
    keys = operation.replacement if kind == "replace" else [operation.key]
    if "" in keys:
        raise _invalid(number, f"Edit.{kind}: a key must have at least one character")
    if kind == "replace":
        return replace(operation.replacement)
    if kind == "delete_key":
        return delete_key(operation.key)
    return (add_key if kind == "add_key" else edit_key)(operation.key, operation.value)


def _invalid(number: int, reason: str) -> PachError:
    return invalid_argument(f"invalid EditMetadataRequest.Edits[{number}]: invalid {reason}")

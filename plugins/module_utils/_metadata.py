# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and values that Pachyderm keeps for a project or a repo. PRIVATE: it may change at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._connection import Pachd
from ._errors import PachdError, PachydermError
from ._sdk import sdk

# Values by key; None takes a key away.
Change = Mapping[str, "str | None"]


def parse_metadata(value: Mapping[str, Any] | None, where: str) -> dict[str, str | None]:
    """The declared keys. Raises PachydermError for a value that is no text."""
    declared: dict[str, str | None] = {}
    for key, text in (value or {}).items():
        if not key:
            raise PachydermError(f"{where}: a key must have at least one character")
        if isinstance(text, bool) or not isinstance(text, (str, int, float, type(None))):
            raise PachydermError(f"{where}.{key}: must be text, or null to remove the key; put it in quotes")
        declared[key] = None if text is None else str(text)
    return declared


def changed_metadata(declared: Change, actual: Mapping[str, str]) -> dict[str, str | None]:
    """What of `declared` differs. Keys that are not declared stay as they are."""
    return {key: value for key, value in declared.items() if actual.get(key) != value}


def merged_metadata(change: Change, actual: Mapping[str, str]) -> dict[str, str]:
    """`actual` once `change` is made."""
    return {key: value for key, value in {**actual, **change}.items() if value is not None}


def write_metadata(pachd: Pachd, changes: Sequence[tuple[Mapping[str, Any], Change]]) -> None:
    """All changes by one call, all of them or none; each comes with its target, such as {"repo": picker}.

    Raises PachydermError.
    """
    api = sdk().metadata
    edits = [
        api.Edit(**target, delete_key=api.EditDeleteKey(key=key))
        if value is None
        else api.Edit(**target, edit_key=api.EditEditKey(key=key, value=value))
        for target, change in changes
        for key, value in sorted(change.items())
    ]
    if not edits:
        return
    try:
        pachd.metadata.edit_metadata(edits=edits)
    except PachdError as error:
        raise PachydermError(f"metadata: cannot write it: {error}") from error

# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the lab report. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._errors import LibraryMissingError, PachydermError
from ._plan import Action, Outcome, Plan
from ._report_data import merged_changes, report_data
from ._report_graph import Drawing, draw
from ._report_page import page


def write_report(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    """Writes page and data where they differ from what is there. Raises PachydermError."""
    dest = Path(params["dest"])
    data_file = dest.with_suffix(".json")
    if data_file == dest:
        raise PachydermError(f"dest: {dest}: is where the data would go; use a name that ends in .html")
    previous = _previous(data_file)
    changes = merged_changes(read_changes(params["changes_from"]), previous.get("changes"))
    data = report_data(params, changes)
    warnings: list[str] = []
    drawing = _drawing(data, previous.get("graph"), warnings)
    data["graph"] = drawing and drawing.graph
    texts = {
        dest: page(params["title"], data, drawing),
        data_file: json.dumps(data, indent=1, sort_keys=True) + "\n",
    }
    actions = [
        Action("write", "file", str(path), _digest(before), _digest(text))
        for path, text in texts.items()
        if (before := _text_of(path)) != text
    ]
    if not check_mode:
        for action in actions:
            _write(Path(action.name), texts[Path(action.name)])
    return Outcome(Plan(tuple(actions)), {"dest": str(dest), "data": str(data_file)}, warnings)


def read_changes(path: str) -> list[dict[str, Any]]:
    """What the callback run_changes recorded; nothing where it did not run."""
    if not path:
        return []
    text = _text_of(Path(path)) or ""
    return [json.loads(line) for line in text.splitlines()]


def _drawing(data: Mapping[str, Any], known: Any, warnings: list[str]) -> Drawing | None:
    lab = data["pachyderm"]
    if not lab or lab["error"]:
        return None
    try:
        return draw(lab["repos"], lab["pipelines"], known)
    except LibraryMissingError as error:
        warnings.append(f"the report has no graph: {error}")
        return None


def _previous(path: Path) -> dict[str, Any]:
    """The data of the last report; nothing where there is none, or where it is none of ours."""
    try:
        data = json.loads(_text_of(path) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PachydermError(f"{path}: {error.strerror}") from error


def _digest(text: str | None) -> dict[str, str] | None:
    return None if text is None else {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def _write(path: Path, text: str) -> None:
    """As a whole: who opens it sees the old one or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            # Readable by whom the directory lets in, as other files that people make.
            mask = os.umask(0)
            os.umask(mask)
            Path(scratch).chmod(0o666 & ~mask)
            Path(scratch).replace(path)
        except BaseException:
            Path(scratch).unlink()
            raise
    except OSError as error:
        raise PachydermError(f"{path}: cannot be written: {error.strerror}") from error

# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab report as HTML. PRIVATE to the collection: it may change at any time.

The template engine escapes whatever comes from a lab, and the page's policy lets it load and run nothing.
"""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from ._errors import LibraryMissingError
from ._report_data import BAD_STATES, state_text
from ._report_graph import BOX_HEIGHT, BOX_WIDTH, LINE_WIDTH, Drawing, time_line
from ._report_text import STYLE, TEMPLATE

# Jobs that are listed at once; the others are folded away.
_LISTED = 30
# So that what the lab holds comes soon after what a first run did.
_LISTED_CHANGES = 10
_GOOD = ("success", "running", "standby")


def page(title: str, data: Mapping[str, Any], drawing: Drawing | None) -> str:
    """The whole page. Raises LibraryMissingError without Jinja2."""
    lab = data["pachyderm"] or {}
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    text: str = _template().render(
        title=title,
        data=data,
        lab=lab,
        drawing=drawing if drawing and drawing.boxes else None,
        line=time_line(lab.get("jobs", [])),
        style=STYLE,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'",
        listed=_LISTED,
        listed_changes=_LISTED_CHANGES,
        box_width=BOX_WIDTH,
        box_height=BOX_HEIGHT,
        line_width=LINE_WIDTH,
    )
    return text


@functools.cache
def _template() -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise LibraryMissingError("jinja2", str(error)) from error
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "moment": moment_text,
        "state": state_text,
        "tone": tone,
        "health": health,
        "standing": standing,
        "seconds": seconds_text,
        "own": lambda name: name.removeprefix("default/"),
        "style": Markup,
    }
    return environment.from_string(TEMPLATE)


def moment_text(text: str | None) -> str:
    """2026-01-31 12:00:00, in UTC."""
    if not text:
        return "-"
    moment = datetime.datetime.fromisoformat(text)
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def seconds_text(start: str | None, end: str | None) -> str:
    if not start or not end:
        return "-"
    passed = datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)
    return f"{passed.total_seconds():.1f} s"


def tone(state: str) -> str:
    """Which colour a state has; the word stands beside it always."""
    word = state_text(state)
    if state == "JOB_RUNNING":
        return "run"
    return "bad" if word in BAD_STATES else "good" if word in _GOOD else "wait"


def health(pipeline: Mapping[str, Any]) -> str:
    """The tone of a pipeline: one that runs is bad nonetheless where its newest job failed."""
    return "bad" if tone(pipeline["last_job_state"]) == "bad" else tone(pipeline["state"])


def standing(pipeline: Mapping[str, Any]) -> str:
    """A pipeline's state in the few words that a box has room for."""
    if pipeline["stopped"]:
        return "stopped"
    if health(pipeline) != tone(pipeline["state"]):
        return f"job {state_text(pipeline['last_job_state'])}"
    return state_text(pipeline["state"])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where repos, pipelines and jobs of the lab report are drawn. PRIVATE: it may change at any time.

igraph places the boxes (Sugiyama's layers), from left to right; here its places become pixels.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import LibraryMissingError

BOX_WIDTH, BOX_HEIGHT = 168, 40
_GAP_X, _GAP_Y, _MARGIN = 56, 14, 8
# Units of a time line's whole width, and the least that a job takes of it.
LINE_WIDTH = 1000
_LEAST = 3
# Characters of a name in a box.
_NAME = 21


@dataclass(frozen=True, slots=True)
class Box:
    """A repo or a pipeline with the corner where it is drawn; `node` is what the report has of it."""

    name: str
    label: str
    x: float
    y: float
    pipeline: bool
    node: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drawing:
    """`edges` are paths of SVG; `graph` is what it was drawn from, as a report keeps it."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    graph: Mapping[str, Any]


def draw(
    repos: Sequence[Mapping[str, Any]], pipelines: Sequence[Mapping[str, Any]], known: Any = None
) -> Drawing:
    """The repos that are no pipeline's output, the pipelines, and what flows between them.

    `known` is the graph of an earlier drawing. Raises LibraryMissingError if there is no igraph to place it.
    """
    nodes = {repo["name"]: (False, repo) for repo in repos}
    nodes |= {pipeline["name"]: (True, pipeline) for pipeline in pipelines}
    graph = _placed(list(nodes), pipelines, known)
    places, bends = graph["places"], graph["bends"]
    if not places:
        return Drawing(0, 0, (), (), graph)
    boxes = tuple(
        Box(name, shortened(name.removeprefix("default/")), *_corner(place), *node)
        for (name, node), place in zip(nodes.items(), places, strict=True)
    )
    edges = tuple(
        _path(boxes[a], boxes[b], [_corner(bend) for bend in between])
        for (a, b), between in zip(graph["edges"], bends, strict=True)
    )
    every = [*places, *(bend for between in bends for bend in between)]
    right = max(_corner(place)[0] for place in every) + BOX_WIDTH + _MARGIN
    bottom = max(_corner(place)[1] for place in every) + BOX_HEIGHT + _MARGIN
    return Drawing(right, bottom, boxes, edges, graph)


def _placed(names: list[str], pipelines: Sequence[Mapping[str, Any]], known: Any) -> Mapping[str, Any]:
    """What is below what, and where each is placed: as in `known`, if that is of the same graph.

    To import igraph takes longer than all else that a report needs.
    """
    index = {name: number for number, name in enumerate(names)}
    edges = [
        [index[above], index[pipeline["name"]]]
        for pipeline in pipelines
        for above in pipeline["inputs"]
        if above in index
    ]
    if isinstance(known, dict) and (known.get("names"), known.get("edges")) == (names, edges):
        return known
    places, bends = _layout(len(names), edges) if names else ([], [])
    return {"names": names, "edges": edges, "places": places, "bends": bends}


def _layout(count: int, pairs: Sequence[Sequence[int]]) -> tuple[list[list[float]], list[list[list[float]]]]:
    """For each node its place within a layer and its layer, and those that each edge passes in between."""
    try:
        from igraph import Graph
    except ImportError as error:
        raise LibraryMissingError("igraph", str(error)) from error
    layout = Graph(count, pairs, directed=True).layout_sugiyama()
    return [list(place) for place in layout.coords], [
        [list(bend) for bend in matrix] for matrix in layout.edge_routing
    ]


def _corner(place: Sequence[float]) -> tuple[float, float]:
    across, layer = place
    return _MARGIN + layer * (BOX_WIDTH + _GAP_X), round(_MARGIN + across * (BOX_HEIGHT + _GAP_Y), 1)


def _path(start: Box, end: Box, between: Sequence[tuple[float, float]]) -> str:
    """A curve from the right side of a box to the left side of another, through the gaps at its bends."""
    middle = BOX_HEIGHT / 2
    at_x, at_y = start.x + BOX_WIDTH, start.y + middle
    path = f"M{at_x:g} {at_y:g}"
    for x, y in sorted([*between, (end.x, end.y)]):
        half = (at_x + x) / 2
        path += f"C{half:g} {at_y:g} {half:g} {y + middle:g} {x:g} {y + middle:g}"
        at_x, at_y = x, y + middle
        if (x, y) != (end.x, end.y):
            at_x += BOX_WIDTH
            path += f"H{at_x:g}"
    return path


def shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


@dataclass(frozen=True, slots=True)
class Bar:
    """A job on a time line: it waits from `x` to `run`, and runs to `end`."""

    x: float
    run: float
    end: float
    job: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimeLine:
    """All jobs between two moments, by pipeline."""

    first: str
    last: str
    rows: Mapping[str, tuple[Bar, ...]]


def time_line(jobs: Sequence[Mapping[str, Any]]) -> TimeLine | None:
    """None without a job. A job that goes on lasts until the newest moment that is known of any."""
    moments = {
        text: datetime.datetime.fromisoformat(text).timestamp()
        for job in jobs
        for key in ("created", "started", "finished")
        if (text := job[key])
    }
    if not moments:
        return None
    first, last = min(moments, key=moments.__getitem__), max(moments, key=moments.__getitem__)
    scale = (LINE_WIDTH - _LEAST) / max(moments[last] - moments[first], 1e-6)
    rows: dict[str, list[Bar]] = {}
    for job in sorted(jobs, key=lambda job: (job["pipeline"], job["created"] or "")):
        if not job["created"]:
            continue

        def place(text: str) -> float:
            return round((moments[text] - moments[first]) * scale, 1)

        start = place(job["created"])
        run = place(job["started"] or job["finished"] or last)
        end = max(place(job["finished"] or last), start + _LEAST)
        rows.setdefault(job["pipeline"], []).append(Bar(start, min(run, end), end, job))
    return TimeLine(first, last, {name: tuple(bars) for name, bars in rows.items()})

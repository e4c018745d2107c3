# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that a rendered chart needs, for a mirror. PRIVATE to the collection. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._chart_pins import documents

# pachd starts workers by itself: no manifest has a container with these.
_VARIABLES = ("WORKER_IMAGE", "WORKER_SIDECAR_IMAGE")


def images(manifest: str) -> list[str]:
    """Sorted, each once. Those of `helm test`'s pods are left out; those of pipelines nobody knows here."""
    found: set[str] = set()
    for item in documents(manifest):
        annotations = item.get("metadata", {}).get("annotations") or {}
        if not annotations.get("helm.sh/hook", "").startswith("test"):
            found.update(_of(item))
    return sorted(found)


def _of(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for entry in node:
            yield from _of(entry)
    elif isinstance(node, dict):
        if node.get("name") in _VARIABLES and node.get("value"):
            yield str(node["value"])
        for key, value in node.items():
            if key == "image" and isinstance(value, str):
                yield value
            else:
                yield from _of(value)

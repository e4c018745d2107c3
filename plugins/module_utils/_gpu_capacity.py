# SPDX-License-Identifier: GPL-3.0-or-later
"""How many GPUs the nodes of a cluster lend, and why some lend none. PRIVATE: it may change at any time.

One poll is a list of nodes, one of pods and one of DaemonSets, whatever the number of nodes. Events and logs
are asked for once, at the end, and only where a node lacks its GPUs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._errors import PachydermError, first_few
from ._gpu_capacity_view import View, Wanted, needs_log
from ._image_pulls import pulling
from ._kubernetes import Kubernetes, KubernetesError, UnreachableError
from ._plan import Outcome
from ._progress import Progress

_PAUSE = 2.0
# Pods that have ended hold no GPU.
_LIVING = "status.phase!=Succeeded,status.phase!=Failed"
# Of so many nodes at most the plugin's log is read.
_LOGS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """`wait` is in seconds."""

    wanted: Wanted
    wait: int


def parse_options(params: Mapping[str, Any]) -> Options:
    """Raises PachydermError."""
    if params["minimum"] < 1:
        raise PachydermError(f"minimum: must be 1 or more, not {params['minimum']}")
    wanted = Wanted(
        resource=params["resource"],
        plugin=params["plugin_labels"],
        nodes=tuple(params["nodes"]),
        selector=params["node_selector"],
        minimum=params["minimum"],
    )
    return Options(wanted, params["wait"])


def run_capacity(cluster: Kubernetes, options: Options, check_mode: bool) -> Outcome:
    """Waits until the wanted nodes lend their GPUs. Raises PachydermError, with the nodes, if they do not.

    In check mode it neither waits nor fails: what would make the GPUs available was not done.
    """
    end = time.monotonic() + (0 if check_mode else options.wait)
    view = _look(cluster, options.wanted)
    progress = Progress(f"nodes that lend {options.wanted.resource}")
    while view.missing and time.monotonic() < end:
        progress.tell(partial(_told, cluster, view))
        time.sleep(_PAUSE)
        try:
            view = _look(cluster, options.wanted)
        except UnreachableError:
            # It may be restarting; the last word is that of the final look.
            if time.monotonic() >= end:
                raise
    if view.missing:
        view = view.explained(_warnings(cluster, view), _logs(cluster, view))
    values = view.result()
    if view.missing and not check_mode:
        waited = f" after {options.wait} s" if options.wait else ""
        names = first_few([f"{entry['name']}: {entry['reason']}" for entry in values["missing"]])
        raise PachydermError(
            f"{len(view.missing)} of {view.expected} nodes have too few"
            f" {options.wanted.resource}{waited}: {names}",
            **values,
        )
    return Outcome(None, values)


def _told(cluster: Kubernetes, view: View) -> dict[str, str | int]:
    pods = [view.plugin_pods[name] for name in view.missing if name in view.plugin_pods]
    pulls = [text for namespace in view.plugin_namespaces for text in pulling(cluster, namespace, pods)]
    reasons = [f"{entry['name']}: {entry['reason']}" for entry in view.result()["missing"]]
    done = view.expected - len(view.missing)
    return {"done": done, "total": view.expected, "unit": "nodes", "note": first_few([*pulls, *reasons], 3)}


def _look(cluster: Kubernetes, wanted: Wanted) -> View:
    nodes = cluster.list("/api/v1/nodes")
    pods = cluster.list("/api/v1/pods", fieldSelector=_LIVING)
    # All of them: a device plugin that somebody else installed has other labels.
    sets = cluster.list("/apis/apps/v1/daemonsets")
    return View(wanted, nodes, pods, sets)


def _warnings(cluster: Kubernetes, view: View) -> list[dict[str, Any]]:
    """Warning events where the plugin is, of which only the newest matter."""
    found: list[dict[str, Any]] = []
    for namespace in view.plugin_namespaces:
        found += cluster.list(f"/api/v1/namespaces/{namespace}/events", fieldSelector="type=Warning")
    return found


def _logs(cluster: Kubernetes, view: View) -> dict[str, str]:
    """The end of the plugin's log by pod, where it runs and finds no GPU."""
    logs = {}
    for pod in needs_log(view)[:_LOGS]:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        container = pod["spec"]["containers"][-1]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        try:
            logs[name] = cluster.text(path, container=container, tailLines=50)
        except (KubernetesError, UnreachableError):
            # Its kubelet does not answer, or this user may not read logs: one reason less.
            continue
    return logs

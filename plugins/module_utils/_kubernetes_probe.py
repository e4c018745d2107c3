# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod that runs once to see whether a cluster can run it. PRIVATE: it may change at any time.

Whatever happens, the pod and its claim go again. Those of a run that was killed go with the next one, and
until then the pod ends by its own deadline, so that it holds no GPU for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._errors import PachydermError, first_few, one_line
from ._image_pulls import pulling
from ._kubernetes import Kubernetes, KubernetesError, UnreachableError
from ._kubernetes_objects_plan import MANAGER
from ._kubernetes_pods import last_warning, trouble
from ._plan import Outcome
from ._progress import Progress

_LABEL = "gpulab.pachyderm/probe"
_PAUSE = 0.5
# The kubelet says so while a device plugin is being replaced; the next pod may be lucky.
_TOO_EARLY = "UnexpectedAdmissionError"
# Seconds for what was made to go. A volume takes its provisioner's time.
_REMOVAL = 120


@dataclass(frozen=True, slots=True)
class Probe:
    """`pod` and `claim` are specs, as Kubernetes has them; `timeout` is in seconds."""

    name: str
    namespace: str
    pod: dict[str, Any]
    claim: dict[str, Any] | None
    timeout: int


@dataclass(slots=True)
class Seen:
    """What came of it. `volume` is the name of the volume that was made for the claim."""

    phase: str = ""
    output: str = ""
    reason: str = ""
    node: str = ""
    volume: str = ""


def parse_probe(params: Mapping[str, Any]) -> Probe:
    """Raises PachydermError."""
    if not params["pod"].get("containers"):
        raise PachydermError("pod: has no containers")
    return Probe(params["name"], params["namespace"], params["pod"], params["claim"], params["timeout"])


def run_probe(cluster: Kubernetes, probe: Probe, check_mode: bool) -> Outcome:
    """Runs the pod to its end and removes it. Raises PachydermError if it does not succeed."""
    if check_mode:
        return Outcome(None, {"ran": False})
    seen = Seen()
    # What a killed run left.
    _remove(cluster, probe, seen)
    try:
        _make(cluster, probe)
        _watch(cluster, probe, seen, time.monotonic() + probe.timeout)
    finally:
        _remove(cluster, probe, seen)
    values = {key: getattr(seen, key) for key in ("phase", "output", "node", "volume")}
    if seen.phase != "Succeeded":
        what = f"probe pod {probe.namespace}/{probe.name}"
        late = f" within {probe.timeout} s" if seen.phase in ("", "Pending", "Running") else ""
        said = f"; it printed: {one_line(seen.output)[-300:]}" if seen.output else ""
        raise PachydermError(
            f"{what} did not succeed{late} ({seen.phase or 'not seen'}):"
            f" {seen.reason or 'no reason is known'}{said}",
            ran=True,
            **values,
        )
    return Outcome(None, {"ran": True, **values})


def _pods(probe: Probe) -> str:
    return f"/api/v1/namespaces/{probe.namespace}/pods"


def _claims(probe: Probe) -> str:
    return f"/api/v1/namespaces/{probe.namespace}/persistentvolumeclaims"


def _make(cluster: Kubernetes, probe: Probe) -> None:
    metadata = {
        "name": probe.name,
        "namespace": probe.namespace,
        "labels": {_LABEL: probe.name, "app.kubernetes.io/managed-by": MANAGER},
    }
    if probe.claim is not None:
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": probe.claim,
        }
        cluster.create(_claims(probe), claim)
    # Removal is part of its life: a pod that outlives its deadline is ended by Kubernetes itself.
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": probe.timeout + _REMOVAL,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        **probe.pod,
    }
    cluster.create(_pods(probe), {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def _watch(cluster: Kubernetes, probe: Probe, seen: Seen, end: float) -> None:
    """Until the pod ended or the time is up; then why, and what it printed."""
    pod: dict[str, Any] = {}
    progress = Progress(f"pod {probe.namespace}/{probe.name}")
    while time.monotonic() < end:
        try:
            pod = cluster.get(f"{_pods(probe)}/{probe.name}")
            if pod["status"].get("reason") == _TOO_EARLY:
                _gone(cluster, probe, f"{_pods(probe)}/{probe.name}")
                _make(cluster, Probe(probe.name, probe.namespace, probe.pod, None, probe.timeout))
            elif pod["status"].get("phase") in ("Succeeded", "Failed"):
                break
        except UnreachableError:
            # It may be restarting.
            pass
        progress.tell(partial(_note, cluster, probe, pod))
        time.sleep(_PAUSE)
    if not pod:
        return
    seen.phase = pod["status"].get("phase", "")
    seen.node = pod["spec"].get("nodeName", "")
    path = f"/api/v1/namespaces/{probe.namespace}/events"
    if seen.phase != "Succeeded":
        events = cluster.list(path, fieldSelector=f"involvedObject.name={probe.name}")
        warnings = [event for event in events if event["type"] == "Warning"]
        # The claim's first: without its volume the pod cannot start, and says less of it. That nobody makes
        # the volume is no warning to Kubernetes.
        claim = cluster.find(f"{_claims(probe)}/{probe.name}") if probe.claim is not None else None
        waits = claim is not None and claim["status"].get("phase") != "Bound"
        told = [trouble(pod, warnings)]
        if claim is not None and waits:
            told = [last_warning(claim, warnings), *told, last_warning(claim, events)]
        seen.reason = next(filter(None, told), "")
    if seen.phase in ("Succeeded", "Failed", "Running"):
        seen.output = _log(cluster, f"{_pods(probe)}/{probe.name}/log")


def _note(cluster: Kubernetes, probe: Probe, pod: Mapping[str, Any]) -> dict[str, str]:
    phase = pod.get("status", {}).get("phase", "not seen yet")
    return {"note": first_few([phase, *(pulling(cluster, probe.namespace, [pod]) if pod else [])])}


def _log(cluster: Kubernetes, path: str) -> str:
    try:
        return cluster.text(path, tailLines=1000)
    except KubernetesError as error:
        # A pod that never started has none.
        if error.code == 403:
            raise
        return ""


def _remove(cluster: Kubernetes, probe: Probe, seen: Seen) -> None:
    """Takes away the pod, its claim and the claim's volume, as far as there are any."""
    _gone(cluster, probe, f"{_pods(probe)}/{probe.name}")
    path = f"{_claims(probe)}/{probe.name}"
    claim = cluster.find(path) if probe.claim is not None else None
    if claim is None:
        return
    seen.volume = claim["spec"].get("volumeName", "")
    volume = f"/api/v1/persistentvolumes/{seen.volume}"
    if seen.volume:
        # A class may keep the volumes of claims that go; this one holds nothing.
        policy = {"persistentVolumeReclaimPolicy": "Delete"}
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": seen.volume},
            "spec": policy,
        }
        if (cluster.find(volume) or {"spec": policy})["spec"].get(
            "persistentVolumeReclaimPolicy"
        ) != "Delete":
            cluster.apply(volume, body, MANAGER)
    _gone(cluster, probe, path)
    if seen.volume:
        _wait_gone(cluster, volume, f"volume {seen.volume}")


def _gone(cluster: Kubernetes, probe: Probe, path: str) -> None:
    """Deletes what is at `path`, if it is a probe's, and waits until it is gone."""
    there = _steadily(lambda: cluster.find(path))
    if there is None:
        return
    if _LABEL not in (there["metadata"].get("labels") or {}):
        raise PachydermError(f"{path}: was not made by this module; choose another name than {probe.name}")
    _steadily(lambda: cluster.delete(path, gracePeriodSeconds=0))
    _wait_gone(cluster, path, path.rsplit("/", 2)[-2].removesuffix("s") + f" {probe.namespace}/{probe.name}")


def _steadily(call: Callable[[], Any]) -> Any:
    """`call`, which can be repeated, again until the API server answers; it may be restarting."""
    end = time.monotonic() + _REMOVAL / 4
    while True:
        try:
            return call()
        except UnreachableError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)


def _wait_gone(cluster: Kubernetes, path: str, what: str) -> None:
    end = time.monotonic() + _REMOVAL
    while _steadily(lambda: cluster.find(path)) is not None:
        if time.monotonic() >= end:
            raise PachydermError(
                f"{what} is still there {_REMOVAL} s after it was deleted; what made it may be down"
            )
        time.sleep(_PAUSE)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A release of Pachyderm's chart: look, decide, do. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _chart_absent as absent
from ._chart_helm import Chart, Helm
from ._chart_images import images
from ._chart_keys import unknown_keys
from ._chart_objects import (
    ROUTE_API,
    ROUTE_KIND,
    SCC_API,
    SCC_KIND,
    after_release,
    before_release,
)
from ._chart_pins import SECRET, announce, decode, generate, recover, settle
from ._chart_plan import (
    Release,
    Wanted,
    check_pins,
    refusals,
    release_actions,
)
from ._chart_settings import Settings
from ._chart_values import chart_values, secret_texts
from ._errors import PachydermError, first_few
from ._kubernetes import Kubernetes
from ._kubernetes_objects_plan import MANAGER, Object, plan_present, stamped
from ._plan import Action, Outcome, Plan

_SCC_PATH = "/apis/security.openshift.io/v1/securitycontextconstraints"


@dataclass(frozen=True, slots=True)
class Declared:
    """The module's options. `seconds` is how long helm may take."""

    state: str
    release: str
    namespace: str
    chart: Chart
    helm: str
    settings: Settings = field(repr=False)
    allow: frozenset[str]
    recover_secret: bool
    stuck_after: int
    history_max: int
    delete_data: bool
    seconds: int

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> Declared:
        """Raises PachydermError."""
        chart = _chart(params)
        settings = Settings.parse(params["settings"] or {})
        return cls(
            state=params["state"],
            release=params["name"],
            namespace=params["namespace"],
            chart=chart,
            helm=params["helm_binary"],
            settings=settings,
            allow=frozenset(params["allow"]),
            recover_secret=params["recover_secret"],
            stuck_after=params["stuck_after"],
            history_max=params["history_max"],
            delete_data=params["delete_data"],
            seconds=params["timeout"],
        )


def _chart(params: Mapping[str, Any]) -> Chart:
    ref, version = params["chart"], params["version"]
    if not ref:
        if not version:
            raise PachydermError(
                "pachyderm_version: is empty; a chart of a repository is pinned, as by 2.12.0"
            )
        return Chart("pachyderm", params["chart_repository"], version)
    chart = Chart(ref, "", version)
    if chart.is_local:
        path = Path(os.path.expanduser(ref))
        if not (path.is_file() or (path / "Chart.yaml").is_file()):
            raise PachydermError(
                f"pachyderm_chart: {path}: neither an archive of a chart nor a directory with one"
            )
    elif not version:
        raise PachydermError(f"pachyderm_version: is empty; chart {ref} needs one")
    return chart


def list_images(params: Mapping[str, Any], declared: Declared) -> Outcome:
    """The images of the declared release. Reads the chart only: no cluster is asked."""
    helm = Helm(declared.helm, params, declared.namespace, declared.release)
    pins, _notes = settle(declared.settings, {}, announce)
    values = chart_values(_on_no_cluster(declared.settings), pins)
    _check_keys(helm, declared, values)
    found = images(helm.render(declared.chart, values))
    return Outcome(None, {"release": None, "images": found})


def _on_no_cluster(settings: Settings) -> Settings:
    return dataclasses.replace(settings, openshift_scc="")


@dataclass(slots=True)
class Run:
    """One run of the module."""

    client: Kubernetes
    helm: Helm
    declared: Declared
    check: bool
    conceal: Any  # takes texts that no output may hold

    def present(self) -> Outcome:
        declared = self.declared
        settings = self._openshift(declared.settings)
        release = self.helm.release()
        pins = self._pins(settings, release)
        values = chart_values(settings, pins)
        # What is only announced is no secret, and short of one.
        self.conceal(secret_texts(values) - {announce(name) for name in pins})
        version = self._version()
        wanted = Wanted(
            declared.release, declared.namespace, version, values, declared.allow, declared.stuck_after
        )
        problems = refusals(wanted, release, time.time())
        if release and release.chart != "pachyderm":
            problems.append(
                f"pachyderm_release: {release.name} in namespace {declared.namespace} is a release of chart"
                f" {release.chart}; choose another name"
            )
        if problems:
            raise PachydermError("; ".join(problems))
        before = self._missing(before_release(settings, pins, declared.namespace))
        deploy = release_actions(wanted, release)
        after = self._missing(after_release(settings, declared.namespace))
        if deploy:
            _check_keys(self.helm, declared, values)
        plan = Plan((*before, *deploy, *after), _warnings(settings))
        manifest = release.manifest if release and not deploy else self.helm.render(declared.chart, values)
        if not self.check:
            self._objects(before)
            self._deploy(deploy, release, values)
            self._objects(after)
        return Outcome(
            plan,
            {"release": self._result(settings, pins, version, release, deploy), "images": images(manifest)},
        )

    def absent(self) -> Outcome:
        declared = self.declared
        release = self.helm.release()
        actions = absent.actions(self.client, declared.namespace, release, declared.delete_data)
        if not self.check:
            for action in actions:
                if action.kind == "release":
                    self.helm.uninstall(declared.seconds)
                else:
                    self.client.delete(action.item, propagationPolicy="Background")
        kept = absent.kept(self.client, declared.namespace, declared.delete_data)
        return Outcome(Plan(tuple(actions)), {"release": None, "images": [], "kept": kept})

    def _openshift(self, settings: Settings) -> Settings:
        """The settings with what `auto` means on this cluster. Raises PachydermError."""
        if settings.route and not self.client.has_kind(ROUTE_API, ROUTE_KIND):
            raise PachydermError("pachyderm_route: this cluster has no routes; it is no OpenShift")
        scc = settings.openshift_scc
        if scc == "auto":
            wanted = "hostmount-anyuid" if settings.storage_backend == "LOCAL" else "anyuid"
            scc = wanted if self.client.has_kind(SCC_API, SCC_KIND) else ""
        if scc:
            found = self.client.find(f"{_SCC_PATH}/{scc}")
            if found is None:
                raise PachydermError(
                    f"pachyderm_openshift_scc: the cluster has no SecurityContextConstraints {scc}"
                )
            if settings.storage_backend == "LOCAL" and not found.get("allowHostDirVolumePlugin"):
                raise PachydermError(
                    f"pachyderm_openshift_scc: {scc} allows no directories of the host, which storage"
                    " backend LOCAL is; choose hostmount-anyuid or another backend"
                )
        return dataclasses.replace(settings, openshift_scc=scc)

    def _pins(self, settings: Settings, release: Release | None) -> dict[str, str]:
        within = f"/api/v1/namespaces/{self.declared.namespace}"
        secret = self.client.find(f"{within}/secrets/{SECRET}")
        claims = [] if secret else self.client.list(f"{within}/persistentvolumeclaims")
        check_pins(
            release, bool(secret), [item["metadata"]["name"] for item in claims], self.declared.recover_secret
        )
        kept = decode(secret) if secret else recover(release.values, release.manifest) if release else {}
        pins, problems = settle(settings, kept, announce if self.check else generate)
        if problems:
            raise PachydermError("; ".join(problems))
        return pins

    def _version(self) -> str:
        declared = self.declared
        if not declared.chart.is_local:
            return declared.chart.version
        found = self.helm.show_chart(declared.chart)
        if found.get("name") != "pachyderm":
            raise PachydermError(
                f"pachyderm_chart: {declared.chart.ref} is chart {found.get('name')}, not pachyderm"
            )
        version = str(found["version"])
        if declared.chart.version not in ("", version):
            raise PachydermError(
                f"pachyderm_version: {declared.chart.version} is declared, and {declared.chart.ref} is"
                f" {version}; empty takes what is there"
            )
        return version

    def _missing(self, objects: Iterable[Object]) -> tuple[Action, ...]:
        """The writes that make these objects as they should be."""
        there = [(item, self.client.find(self.client.path(item))) for item in objects]
        # A namespace of somebody else's is taken as it is.
        return plan_present(
            [pair for pair in there if pair[1] is None or pair[0]["kind"] != "Namespace"]
        ).actions

    def _objects(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self.client.apply(self.client.path(action.item), stamped(action.item), MANAGER)

    def _deploy(self, actions: Iterable[Action], release: Release | None, values: Mapping[str, Any]) -> None:
        declared = self.declared
        for action in actions:
            if action.verb == "uninstall":
                self.helm.uninstall(declared.seconds)
            elif action.verb == "roll back" and release is not None:
                revision = self.helm.last_good(release.revision)
                if revision is None:
                    raise PachydermError(
                        f"release {release.name} is {release.status}, and no revision of it was ever"
                        " deployed; uninstall it with helm, its volumes stay"
                    )
                self.helm.roll_back(revision, declared.seconds)
            else:
                self.helm.deploy(declared.chart, values, declared.history_max, declared.seconds)

    def _result(
        self,
        settings: Settings,
        pins: Mapping[str, str],
        version: str,
        release: Release | None,
        deploy: list[Action],
    ) -> dict[str, Any]:
        done = self.helm.release() if deploy and not self.check else release
        return {
            "name": self.declared.release,
            "namespace": self.declared.namespace,
            "version": version,
            "revision": done.revision if done else None,
            "status": done.status if done else None,
            "auth": settings.auth,
            "secret": SECRET,
            "cluster_id": pins["cluster-deployment-id"],
            "host_path": pins["host-path"] if settings.storage_backend == "LOCAL" else None,
            "openshift_scc": settings.openshift_scc or None,
        }


def _check_keys(helm: Helm, declared: Declared, values: Mapping[str, Any]) -> None:
    unknown = unknown_keys(values, helm.show_values(declared.chart))
    if unknown:
        raise PachydermError(f"pachyderm_values: {first_few(unknown)}")


def _warnings(settings: Settings) -> tuple[str, ...]:
    if settings.auth and settings.mock_idp:
        return (
            "pachyderm_mock_idp: whoever reaches Pachyderm logs in as admin with the password `password`, and"
            " administers it",
        )
    return ()

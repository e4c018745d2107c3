# SPDX-License-Identifier: GPL-3.0-or-later
"""The program helm, for one release. PRIVATE to the collection: it may change at any time.

Not by kubernetes.core.helm: that takes a release with equal values for done when it failed or is stuck,
warns at each run where a plugin is missing, and writes the values, which hold secrets, into a file and into
its result. Here they go to helm's standard input, and credentials into its environment.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ._chart_plan import Release
from ._errors import PachydermError, one_line

# Seconds for a command that waits for nothing in the cluster.
_SECONDS = 120
_ENVIRONMENT = {
    "kubeconfig": "KUBECONFIG",
    "context": "HELM_KUBECONTEXT",
    "host": "HELM_KUBEAPISERVER",
    "api_key": "HELM_KUBETOKEN",
    "ca_cert": "HELM_KUBECAFILE",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """Where the chart is: a name in `repository`, or a path, URL or OCI reference if that is empty.

    `version` is empty only where the place itself decides.
    """

    ref: str
    repository: str = ""
    version: str = ""

    @property
    def is_local(self) -> bool:
        return self.ref.startswith(("/", "./", "../", "~"))

    @property
    def arguments(self) -> list[str]:
        arguments = [os.path.expanduser(self.ref) if self.is_local else self.ref]
        if self.repository:
            arguments += ["--repo", self.repository]
        if self.version and not self.is_local:
            arguments += ["--version", self.version]
        return arguments


class Helm:
    """Raises PachydermError with helm's own reason in one line."""

    def __init__(self, binary: str, params: Mapping[str, Any], namespace: str, release: str) -> None:
        found = shutil.which(os.path.expanduser(binary))
        if found is None:
            raise PachydermError(
                f"helm: {binary} is no program on this host; the role helm installs one, or name it in"
                " helm_binary"
            )
        self._binary = found
        self._release = release
        self._environment = {**os.environ, "HELM_NAMESPACE": namespace}
        for option, variable in _ENVIRONMENT.items():
            if params.get(option):
                self._environment[variable] = str(params[option])
        if params.get("validate_certs") is False:
            self._environment["HELM_KUBEINSECURE_SKIP_TLS_VERIFY"] = "true"

    def release(self) -> Release | None:
        listed = json.loads(
            self._run(["list", "--all", "--filter", f"^{self._release}$", "--output", "json"])
        )
        if not listed:
            return None
        entry = listed[0]
        state = json.loads(self._run(["status", self._release, "--output", "json"]))
        chart, _at, version = split_chart(entry["chart"])
        return Release(
            name=self._release,
            revision=int(entry["revision"]),
            status=entry["status"],
            chart=chart,
            version=version,
            updated=_seconds(state["info"]["last_deployed"]),
            values=state.get("config") or {},
            manifest=state.get("manifest") or "",
        )

    def last_good(self, before: int) -> int | None:
        """The newest revision before `before` that was deployed once."""
        history = json.loads(self._run(["history", self._release, "--output", "json"]))
        good = [
            int(entry["revision"])
            for entry in history
            if entry["status"] in ("deployed", "superseded") and int(entry["revision"]) < before
        ]
        return max(good, default=None)

    def show_chart(self, chart: Chart) -> dict[str, Any]:
        return self._yaml(["show", "chart", *chart.arguments])

    def show_values(self, chart: Chart) -> dict[str, Any]:
        return self._yaml(["show", "values", *chart.arguments])

    def render(self, chart: Chart, values: Mapping[str, Any]) -> str:
        """The manifest of an installation. Asks no cluster."""
        return self._run(["template", self._release, *chart.arguments, "--values", "-"], values)

    def deploy(self, chart: Chart, values: Mapping[str, Any], history_max: int, seconds: int) -> None:
        """Installs or upgrades. Waits for hooks only, not for pods."""
        command = ["upgrade", "--install", self._release, *chart.arguments, "--values", "-", "--reset-values"]
        self._run([*command, "--history-max", str(history_max), "--timeout", f"{seconds}s"], values, seconds)

    def roll_back(self, revision: int, seconds: int) -> None:
        self._run(["rollback", self._release, str(revision), "--timeout", f"{seconds}s"], seconds=seconds)

    def uninstall(self, seconds: int) -> None:
        """Waits until the release's objects are gone."""
        self._run(["uninstall", self._release, "--wait", "--timeout", f"{seconds}s"], seconds=seconds)

    def _yaml(self, arguments: list[str]) -> dict[str, Any]:
        yaml = importlib.import_module("yaml")
        answer = yaml.safe_load(self._run(arguments))
        return answer if isinstance(answer, dict) else {}

    def _run(self, arguments: list[str], values: Mapping[str, Any] | None = None, seconds: int = 0) -> str:
        try:
            done = subprocess.run(
                [self._binary, *arguments],
                # JSON is YAML.
                input="" if values is None else json.dumps(values),
                capture_output=True,
                text=True,
                env=self._environment,
                timeout=_SECONDS + seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = "did not end in time" if isinstance(error, subprocess.TimeoutExpired) else str(error)
            raise PachydermError(f"helm {arguments[0]} {self._release}: {reason}") from error
        if done.returncode:
            raise PachydermError(f"helm {' '.join(arguments[:2])}: {_reason(done.stderr)}")
        return done.stdout


def split_chart(text: str) -> tuple[str, str, str]:
    """(name, "-", version) of what helm lists as NAME-VERSION; a name may hold dashes, too."""
    for index, letter in enumerate(text):
        if letter == "-" and text[index + 1 : index + 2].isdigit():
            return text[:index], "-", text[index + 1 :]
    return text, "", ""


def _reason(stderr: str) -> str:
    """Helm's error without its warnings of file modes and the like."""
    lines = [
        line for line in stderr.splitlines() if line.strip() and not line.startswith(("WARNING", "W0", "I0"))
    ]
    text = one_line(" ".join(lines)) or "no reason given"
    return text.split("Error: ", 1)[-1]


def _seconds(text: str) -> float:
    """Of a Go time, which has nanoseconds."""
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{head}.{rest[: min(digits, 6)]}{rest[digits:]}"
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the container engines of a node have in effect, and its CDI specifications. PRIVATE to the collection.

Python 3.8, without libraries: it runs on the node.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
from typing import Any

from . import _container_runtime_docker as docker_config
from ._container_runtime_files import read as read_whole
from ._container_runtime_types import RuntimeConfigError
from ._nvidia_node_run import run

# Seconds for each command.
TIMEOUT = 60
DAEMON_JSON = "/etc/docker/daemon.json"
# Both are Kubernetes in one process. They write containerd's configuration anew at each start, with each
# runtime that they find in /usr/bin (k3s, pkg/agent/containerd/runtimes.go).
GENERATED = {
    "k3s": ("k3s", "k3s-agent"),
    "rke2": ("rke2-server", "rke2-agent"),
}
KEY = re.compile(r"^\s*([\w-]+)\s*=\s*(.+?)\s*$")
SECTION = re.compile(r"^\s*\[([^\[\]]+)\]\s*$")
# Of a table's name: ... .runtimes.NAME or .runtimes.NAME.options, quoted or not; in a dump NAME holds no dot.
RUNTIME = re.compile(r"(?:^|\.)runtimes\.[\"']?([^\"'.]+)[\"']?(?:\.options)?$")
LIBRARY = re.compile(r"lib(?:nvidia-ml|cuda)\.so\.(\d+(?:\.\d+)+)")
DEVICE = re.compile(r"^\s*-?\s*\"?name\"?:\s*\"?([^\",\s]+)", re.MULTILINE)


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def runtimes_of_toml(text: str) -> dict[str, Any]:
    """Runtimes {name: binary or null} and the default one, from TOML that such a program wrote.

    Not a TOML parser: those programs write one key a line, and Python has a parser only from 3.11 on.
    """
    runtimes: dict[str, str | None] = {}
    default = None
    name = None
    for line in text.splitlines():
        section = SECTION.match(line)
        if section:
            found = RUNTIME.search(section.group(1).strip())
            name = found.group(1) if found else None
            if name is not None:
                runtimes.setdefault(name, None)
            continue
        key = KEY.match(line)
        if not key:
            continue
        value = key.group(2).strip("\"'")
        if key.group(1) in ("default_runtime_name", "default_runtime") and value:
            default = value
        elif name is not None and key.group(1) in ("BinaryName", "runtime_path") and value:
            runtimes[name] = value
    return {"runtimes": runtimes, "default_runtime": default}


def engine(units: tuple[str, ...], binary: str) -> dict[str, Any]:
    """What holds for each engine. Its unit is the first one that systemd has, or that is named first."""
    names = ("LoadState", "ActiveState", "NeedDaemonReload", "RequiredBy", "BoundBy", "ConsistsOf")
    states = []
    for unit in units:
        shown = run(["systemctl", "show", "--property", ",".join(names), f"{unit}.service"], TIMEOUT).output
        states.append(dict(line.split("=", 1) for line in shown.splitlines() if "=" in line))
    chosen = 0
    for number, state in enumerate(states):
        if state.get("LoadState") == "loaded":
            chosen = number
            break
    state = states[chosen]
    loaded = state.get("LoadState") == "loaded"
    dependents = " ".join(state.get(name, "") for name in names[3:]).split()
    return {
        "installed": loaded or shutil.which(binary) is not None,
        "active": state.get("ActiveState") == "active",
        "unit": f"{units[chosen]}.service",
        "needs_daemon_reload": state.get("NeedDaemonReload") == "yes",
        # What systemd restarts with it.
        "restarts": sorted({unit for unit in dependents if unit.endswith(".service")}),
        "runtimes": {},
        "default_runtime": None,
        "error": None,
    }


def is_stale(info: dict[str, Any], text: str | None) -> bool:
    """Whether the Docker that answered `info` has not taken over what daemon.json says of NVIDIA's runtime.

    Docker takes a runtime or a default on SIGHUP, but forgets one, or begins with CDI, only when it starts.
    """
    try:
        wanted = docker_config.parse(DAEMON_JSON, text)
    except RuntimeConfigError:
        return False  # Whoever is about to change the file says so.
    path = ((wanted.get("runtimes") or {}).get("nvidia") or {}).get("path")
    if (info.get("Runtimes") or {}).get("nvidia", {}).get("path") != path:
        return True
    default = info.get("DefaultRuntime")
    if default != wanted.get("default-runtime", default) or (
        default == "nvidia" and "default-runtime" not in wanted
    ):
        return True
    knows_cdi = int(str(info["ServerVersion"]).split(".", maxsplit=1)[0]) >= 25
    return knows_cdi and bool((wanted.get("features") or {}).get("cdi")) and not info.get("CDISpecDirs")


def config_error(path: str) -> str | None:
    """Why Docker would not start with this file, or why it cannot be merged."""
    try:
        docker_config.parse(path, read_whole(path))
    except RuntimeConfigError as error:
        return str(error)
    return None


def docker() -> dict[str, Any]:
    found = engine(("docker",), "dockerd")
    found.update(version=None, stale=False, live_restore=None, containers_running=None)
    found["config_error"] = config_error(DAEMON_JSON)
    if not found["active"]:
        return found
    rc, out, err = run(["docker", "info", "--format", "{{json .}}"], TIMEOUT)
    try:
        info = json.loads(out)
    except ValueError:
        info = {}
    if rc != 0 or not info.get("ServerVersion"):
        errors = info.get("ServerErrors") or [last_line(err) or f"docker info: exit status {rc}"]
        found["error"] = str(errors[0])
        return found
    paths = {name: value.get("path") for name, value in (info.get("Runtimes") or {}).items()}
    found.update(
        version=info["ServerVersion"],
        stale=is_stale(info, read(DAEMON_JSON)),
        runtimes=paths,
        default_runtime=info.get("DefaultRuntime"),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        containers_running=int(info.get("ContainersRunning") or 0),
    )
    return found


def dumped(name: str, binary: str, *command: str) -> dict[str, Any]:
    """An engine that prints the configuration that it takes from its files."""
    found = engine((name,), binary)
    if found["installed"]:
        rc, out, err = run(list(command), TIMEOUT)
        if rc == 0:
            found.update(runtimes_of_toml(out))
        else:
            found["error"] = last_line(err) or f"{' '.join(command)}: exit status {rc}"
    return found


def generated(name: str) -> dict[str, Any]:
    found = engine(GENERATED[name], name)
    found["config"] = f"/var/lib/rancher/{name}/agent/etc/containerd/config.toml"
    text = read(found["config"])
    if text is not None:
        found.update(runtimes_of_toml(text))
    return found


def engines() -> dict[str, Any]:
    """Each engine by name, with what it has in effect."""
    return {
        "docker": docker(),
        "containerd": dumped("containerd", "containerd", "containerd", "config", "dump"),
        "crio": dumped("crio", "crio", "crio", "config"),
        **{name: generated(name) for name in GENERATED},
    }


def specification(path: str) -> dict[str, Any] | None:
    """A CDI specification's driver version and device names; null where there is no file.

    The version is in the names of the libraries that it mounts. nvidia-ctk writes one name a line.
    """
    text = read(path)
    if text is None:
        return None
    library = LIBRARY.search(text)
    return {
        "driver_version": library.group(1) if library else None,
        "devices": sorted(set(DEVICE.findall(text))),
    }


def toolkit_version() -> str | None:
    """Of `nvidia-ctk --version`, whose first line ends in it; null where it does not run."""
    rc, out, _err = run(["nvidia-ctk", "--version"], TIMEOUT)
    found = re.search(r"version (\S+)", out)
    return found.group(1) if rc == 0 and found else None


def unit_states(names: list[str]) -> dict[str, dict[str, Any]]:
    """For each unit its file (null: there is none), and whether it starts at boot and runs."""
    states = {}
    for name in names:
        properties = "FragmentPath,UnitFileState,ActiveState,NeedDaemonReload"
        shown = run(["systemctl", "show", "--property", properties, name], TIMEOUT).output
        state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        states[name] = {
            "file": state.get("FragmentPath") or None,
            "enabled": state.get("UnitFileState") == "enabled",
            "active": state.get("ActiveState") == "active",
            "needs_daemon_reload": state.get("NeedDaemonReload") == "yes",
        }
    return states


def gather(specifications: list[str], units: list[str], files: list[str], pending: str) -> dict[str, Any]:
    """All of it, in the shape that the module returns."""
    markers = sorted(os.listdir(pending)) if os.path.isdir(pending) else []
    return {
        "engines": engines(),
        "kubelet": shutil.which("kubelet") is not None,
        "nvidia_ctk": toolkit_version(),
        "cdi": {path: specification(path) for path in specifications},
        "units": unit_states(units),
        "files": sorted({path for pattern in files for path in glob.glob(pattern)}),
        "pending": [name[: -len(".restart")] for name in markers if name.endswith(".restart")],
    }

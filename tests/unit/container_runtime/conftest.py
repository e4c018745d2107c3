# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with stand-ins of dockerd, containerd, crio and nvidia-ctk; the real ones are tried by Molecule.

The stand-ins keep to what was seen of the real programs: containerd 1.x replaces a plugin's section by that
of an imported file, and loses the runtime runc where a section names another runtime only.
"""

from __future__ import annotations

import copy
import json
import os
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime import Places, execute
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    MissingToolError,
    Options,
    RuntimeConfigError,
    Tools,
)

SAMPLES = Path(__file__).parent / "samples"
CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}


def to_toml(table: dict[str, Any], name: str = "") -> str:
    """In the shape of `containerd config dump`."""
    values = {key: value for key, value in table.items() if not isinstance(value, dict)}
    text = "".join(f"{quoted(key)} = {to_value(value)}\n" for key, value in values.items())
    for key, value in table.items():
        if isinstance(value, dict):
            full = f"{name}.{quoted(key)}" if name else quoted(key)
            text += f"\n[{full}]\n" + to_toml(value, full)
    return text


def to_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {to_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_value, value)) + "]"
    return json.dumps(value)


def quoted(key: str) -> str:
    return f'"{key}"' if "." in key else key


def merged(defaults: Any, section: Any, path: str = "") -> Any:
    """A section on top of the plugin's defaults; a map, such as that of the runtimes, is replaced."""
    if not isinstance(section, dict) or not isinstance(defaults, dict) or path == "runtimes":
        return section
    result = dict(defaults)
    for key, value in section.items():
        result[key] = merged(defaults.get(key), value, key)
    return result


@dataclass(frozen=True)
class StandIns(Tools):
    """Programs in this process. `release` is containerd's; `missing` are programs that are not installed."""

    release: str = "1.7"
    docker: str = "26.1"
    missing: tuple[str, ...] = ()
    calls: list[list[str]] = field(default_factory=list)

    def require(self, program: str) -> None:
        if os.path.basename(program) in self.missing:
            raise MissingToolError(f"{program} is not installed")

    def output(self, *command: str) -> str:
        self.calls.append(list(command))
        program = os.path.basename(command[0])
        if program in self.missing:
            raise MissingToolError(f"{command[0]} is not installed")
        text: str = getattr(self, program.replace("-", "_"))(*command[1:])
        return text

    def dockerd(self, *arguments: str) -> str:
        if self.docker < "23":
            raise RuntimeConfigError("Status: unknown flag: --validate\nSee 'dockerd --help'., Code: 125")
        config = json.loads(Path(arguments[-1]).read_text(encoding="utf-8-sig").strip() or "{}")
        known = {"runtimes", "default-runtime", "features", "log-driver", "live-restore"}
        for key in set(config) - known:
            raise RuntimeConfigError(
                f"unable to configure the Docker daemon with file {arguments[-1]}: the following directives"
                f" don't match any configuration option: {key}"
            )
        return "configuration OK\n"

    def containerd(self, *arguments: str) -> str:
        default = (SAMPLES / f"containerd-{self.release}-default.toml").read_text()
        if arguments == ("config", "default"):
            return default
        path = arguments[1]
        defaults = tomllib.loads(default)
        plugins: dict[str, Any] = {}
        top: dict[str, Any] = {}
        self._load(path, plugins, top)
        dumped = {**defaults, **top, "plugins": merged(defaults["plugins"], plugins)}
        return to_toml(dumped)

    def _load(self, path: str, plugins: dict[str, Any], top: dict[str, Any]) -> None:
        try:
            config = tomllib.loads(Path(path).read_text())
        except tomllib.TOMLDecodeError as error:
            line, column = str(error).split("at line ")[1].strip(")").split(", column ")
            raise RuntimeConfigError(
                f"containerd: failed to load TOML: {path}: ({line}, {column}): bad TOML"
            ) from error
        plugins.update(config.pop("plugins", {}))
        found = [name for pattern in config.pop("imports", []) for name in sorted(glob(pattern))]
        top.update({key: value for key, value in config.items() if key != "version"})
        for name in found:
            self._load(name, plugins, top)

    def nvidia_ctk(self, *arguments: str) -> str:
        flags = dict(argument.partition("=")[::2] for argument in arguments if argument.startswith("--"))
        source = tomllib.loads(Path(flags["--config"]).read_text())
        if flags["--runtime"] == "crio":
            nvidia = {"runtime_path": flags["--runtime-path"], "runtime_type": "oci"}
            table: dict[str, Any] = {"runtimes": {"nvidia": nvidia}}
            if "--set-as-default" in flags:
                table["default_runtime"] = "nvidia"
            Path(flags["--drop-in-config"]).write_text(to_toml({"crio": {"runtime": table}}))
            return ""
        section = copy.deepcopy(source["plugins"][CRI[source["version"]]])
        containerd = section["containerd"]
        runtime: dict[str, Any] = copy.deepcopy(containerd["runtimes"]["runc"])
        runtime.setdefault("options", {})["BinaryName"] = flags["--runtime-path"]
        containerd["runtimes"]["nvidia"] = runtime
        if "--set-as-default" in flags:
            containerd["default_runtime_name"] = "nvidia"
        elif containerd.get("default_runtime_name") == "nvidia":
            del containerd["default_runtime_name"]
        if "--cdi.enabled" in flags:
            section["enable_cdi"] = True
        drop_in = {"version": source["version"], "plugins": {CRI[source["version"]]: section}}
        Path(flags["--drop-in-config"]).write_text(to_toml(drop_in))
        return ""

    def crio(self, *arguments: str) -> str:
        folder = Path(arguments[1].partition("=")[2])
        for path in sorted(folder.iterdir()):
            try:
                tomllib.loads(path.read_text())
            except tomllib.TOMLDecodeError as error:
                raise RuntimeConfigError(f"level=info msg=starting\nloading {path}: bad TOML") from error
        return ""


def moved(source: str, target: str) -> None:
    """As AnsibleModule.atomic_move does it: a file keeps its mode, a new one gets what the umask leaves."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(source, os.stat(target).st_mode if os.path.exists(target) else 0o666 & ~umask)
    os.replace(source, target)


@dataclass
class Node:
    """Configuration below a folder; `run` is one run of the module."""

    root: Path
    runtime: str
    tools: dict[str, Any] = field(default_factory=dict)
    move: Callable[[str, str], None] = moved

    @property
    def config(self) -> Path:
        names = {"docker": "daemon.json", "containerd": "config.toml", "crio": "crio.conf"}
        return self.root / "etc" / names[self.runtime]

    @property
    def drop_in(self) -> Path:
        return self.root / "etc/conf.d/99-nvidia.toml"

    @property
    def marker(self) -> Path:
        return self.root / f"run/{self.runtime}.restart"

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        program = {"docker": "dockerd", "containerd": "containerd", "crio": "crio"}[self.runtime]
        declared = Options(
            self.runtime,
            "present",
            False,
            None,
            "/usr/bin/nvidia-container-runtime",
            str(self.config),
            "" if self.runtime == "docker" else str(self.drop_in),
            program,
        )
        places = Places(self.root / "run", self.root / "var")
        with tempfile.TemporaryDirectory() as scratch:
            tools = StandIns(Path(scratch), **self.tools)
            return execute(replace(declared, **options), tools, self.move, check, places)

    def absent(self, **options: Any) -> dict[str, Any]:
        return self.run(state="absent", **options)

    def dump(self) -> dict[str, Any]:
        """What containerd makes of the files as they are."""
        with tempfile.TemporaryDirectory() as scratch:
            tools = StandIns(Path(scratch), **self.tools)
            folder = self.config.parent
            text = self.config.read_text().replace('["c', f'["{folder}/c')
            return tomllib.loads(tools.containerd("--config", tools.write("c.toml", text), "config", "dump"))

    def files(self) -> dict[str, str]:
        """Every file below etc but for backups, by name."""
        paths = (self.root / "etc").rglob("*")
        return {p.name: p.read_text() for p in paths if p.is_file() and not p.name.endswith("~")}


@pytest.fixture
def node(tmp_path: Path) -> Callable[..., Node]:
    """A new node with one engine; `text` is its configuration."""

    def make(runtime: str, text: str | None = None, **tools: Any) -> Node:
        made = Node(tmp_path, runtime, tools)
        made.config.parent.mkdir()
        if text is not None:
            made.config.write_text(text)
        return made

    return make

# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings merged into the configuration of NVIDIA's container toolkit."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_toolkit import (
    execute,
    flag,
    merge,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    RuntimeConfigError,
    Tools,
)

TEXT = """\
# why we refuse them
#accept-nvidia-visible-devices-envvar-when-unprivileged = true
disable-require = false

[nvidia-container-cli]
# loaded at boot
load-kmods = true

[nvidia-container-runtime]
  mode = "auto" # for now
"""


@dataclass(frozen=True)
class StandIn(Tools):
    """nvidia-ctk config, in this process: sorted and without comments, as the real one writes it."""

    calls: list[list[str]] = field(default_factory=list)

    def output(self, *command: str) -> str:
        self.calls.append(list(command))
        path = Path(command[2].partition("=")[2])
        try:
            table: dict[str, Any] = tomllib.loads(
                path.read_text() if path.exists() else "disable-require = false"
            )
        except tomllib.TOMLDecodeError as error:
            raise RuntimeConfigError('time=x level=error msg="unable to load: (2, 1): bad"') from error
        for argument in command[3:]:
            key, _, value = argument[len("--set=") :].partition("=")
            *sections, name = key.split(".")
            if name == "bogus":
                raise RuntimeConfigError('time=x level=error msg="undefined field: \\"bogus\\""')
            inner = table
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = {"true": True, "false": False}.get(value, value)
        return text_of(table)


def text_of(table: dict[str, Any], name: str = "") -> str:
    values = {key: value for key, value in sorted(table.items()) if not isinstance(value, dict)}
    text = f"[{name}]\n" if name else ""
    for key, value in values.items():
        text += f"{key} = {json.dumps(value)}\n"
    for key, value in sorted(table.items()):
        if isinstance(value, dict):
            text += "\n" + text_of(value, f"{name}.{key}" if name else key)
    return text


def run(path: Path, settings: dict[str, Any], check: bool = False) -> dict[str, Any]:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return execute(str(path), settings, StandIn(scratch), os.replace, check)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    return path


def test_settings_are_merged_and_comments_stay(config: Path) -> None:
    settings = {
        "nvidia-container-runtime.mode": "cdi",
        "nvidia-container-cli.no-cgroups": True,
        "accept-nvidia-visible-devices-envvar-when-unprivileged": False,
        "nvidia-container-runtime-hook.skip-mode-detection": True,
        "swarm-resource": "GPU",
    }
    predicted = run(config, settings, check=True)
    assert config.read_text() == TEXT
    result = run(config, settings)
    assert (
        config.read_text()
        == """\
# why we refuse them
accept-nvidia-visible-devices-envvar-when-unprivileged = false
disable-require = false
swarm-resource = "GPU"

[nvidia-container-cli]
# loaded at boot
load-kmods = true
no-cgroups = true

[nvidia-container-runtime]
  mode = "cdi"

[nvidia-container-runtime-hook]
skip-mode-detection = true
"""
    )
    assert predicted == {**result, "backup_file": None}
    assert result["changed"]
    with open(result["backup_file"]) as backup:
        assert backup.read() == TEXT
    assert result["diff"]["before"] == TEXT
    assert not run(config, settings)["changed"]


def test_a_setting_that_holds_already_changes_nothing(config: Path) -> None:
    assert not run(config, {"nvidia-container-runtime.mode": "auto"})["changed"]
    assert config.read_text() == TEXT


def test_a_file_written_in_another_way_is_taken_from_nvidia_ctk(config: Path) -> None:
    """A dotted key would then be there twice; the comments are lost, the settings are not."""
    config.write_text('nvidia-container-runtime.mode = "auto"\n')
    run(config, {"nvidia-container-runtime.mode": "cdi"})
    assert tomllib.loads(config.read_text()) == {"nvidia-container-runtime": {"mode": "cdi"}}


def test_no_file_yet(config: Path) -> None:
    config.unlink()
    result = run(config, {"nvidia-container-runtime.mode": "cdi"})
    assert (result["changed"], result["backup_file"]) == (True, None)
    assert tomllib.loads(config.read_text())["nvidia-container-runtime"] == {"mode": "cdi"}
    assert "disable-require" in config.read_text()


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (TEXT, {"bogus": 1}, 'undefined field: "bogus"'),
        ("a = [\n", {"swarm-resource": "x"}, "unable to load: line 2, column 1: bad"),
        (
            TEXT,
            {"nvidia-container-runtime.mode": None},
            "runtime.mode: None is no text",
        ),
        (TEXT, {"nvidia-container-runtime.runtimes": []}, "settings: nvidia-container-runtime.runtimes"),
    ],
)
def test_bad_values_are_named(config: Path, text: str, settings: dict[str, Any], message: str) -> None:
    config.write_text(text)
    with pytest.raises(RuntimeConfigError) as caught:
        run(config, settings)
    assert message in str(caught.value)
    assert config.read_text() == text


def test_flags_are_as_nvidia_ctk_takes_them() -> None:
    assert flag("a.b", ["crun", "runc"]) == "--set=a.b=crun:runc"
    assert flag("a", True) == "--set=a=true"
    assert flag("a", 3) == "--set=a=3"


def test_merge_finds_a_key_in_its_own_section_only() -> None:
    text = '[a]\npath = "1"\n\n[b]\n# path is not set\n[b.c]\npath = "3"\n'
    wanted = '[a]\npath = "1"\n[b]\npath = "2"\n[b.c]\npath = "3"\n'
    assert merge(text, wanted, ["b.path"]) == text.replace("not set\n", 'not set\npath = "2"\n')

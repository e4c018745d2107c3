# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the collection's modules, whole, against an embedded pachd that is made for each test."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common import warnings as module_warnings
from ansible.module_utils.testing import patch_module_args
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs

from pachd_embedded.server import Server, Settings

MODULES = "ansible_collections.gpulab.pachyderm.plugins.modules"


class Lab:
    """An embedded pachd with two simulated GPUs, and the modules as Ansible runs them."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str], **settings: Any) -> None:
        self.directory = directory
        self.journal = directory / "journal"
        self.capsys = capsys
        self.server = Server(
            Settings(directory / "pachd", "127.0.0.1:0", gpus=2, journal=self.journal, **settings)
        )
        self.address = self.server.address
        self.client = Client.from_pachd_address(self.address)

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """The result of a module. A check-mode run that sends a mutating call fails the test."""
        seen = len(self.mutations())
        result = run_module(self.capsys, module, check, **{"pachd_address": self.address, **options})
        if check:
            assert self.mutations()[seen:] == []
        return result

    def mutations(self) -> list[str]:
        """The mutating methods that pachd was asked for so far."""
        return self.calls(mutating=True)

    def calls(self, mutating: bool = False) -> list[str]:
        """The methods that pachd was asked for so far; `mutating`: only those that change something."""
        if not self.journal.exists():
            return []
        calls = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [call["method"].rsplit("/", 1)[1] for call in calls if call["mutating"] or not mutating]

    def put(self, path: str, content: bytes, repo: str = "data", append: bool = False) -> None:
        """One file in one commit, by the official SDK."""
        with self.client.pfs.commit(branch=pfs.Branch.from_uri(f"{repo}@master")) as commit:
            commit.put_file_from_bytes(path, content, append=append)
        commit.wait()

    def files(self, repo: str = "data") -> dict[str, bytes]:
        """Path and content of each file of the branch master."""
        head = pfs.Commit.from_uri(f"{repo}@master")
        infos = self.client.pfs.glob_file(commit=head, pattern="/**")
        paths = [info.file.path for info in infos if info.file_type == pfs.FileType.FILE]
        return {path: self.client.pfs.pfs_file(pfs.File(commit=head, path=path)).read() for path in paths}


def run_module(
    capsys: pytest.CaptureFixture[str], module: str, check: bool = False, **options: Any
) -> dict[str, Any]:
    """The result that module `module` prints, after it ran in this process."""
    main = importlib.import_module(f"{MODULES}.pachyderm_{module}").main
    # Ansible gives each module a process of its own, so that its list of warnings starts empty.
    module_warnings._global_warnings.clear()
    capsys.readouterr()
    with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    # As a user sees them: Ansible's controller unwraps them.
    result["warnings"] = [warning["event"]["msg"] for warning in result.get("warnings", [])]
    assert "exception" not in result or "pachyderm-sdk" in result["msg"], result
    assert "\n" not in result.get("msg", "")
    return result


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the modules keep hashes of local files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    made = Lab(tmp_path, capsys)
    yield made
    made.server.stop(grace=0)

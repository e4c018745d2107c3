# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs whose pachd fails: what a run is, what it leaves, and how it is broken off."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client

from ansible_collections.gpulab.pachyderm.plugins.module_utils import (
    _at_once,
    _connection,
    _download,
)
from pachd_embedded.rpc import SERVICES, Method, methods_of
from pachd_embedded.server import Server

from .conftest import Lab

METHODS: dict[str, Method] = {method.name: method for module in SERVICES for method in methods_of(module)}
TOKEN = "the-root-token-of-these-labs"
# What differs from run to run: ids, times, the server's port.
_PASSING = re.compile(
    r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[\d:.]+([+-]\d\d:\d\d|Z)?|127\.0\.0\.1:\d+"
)
_KINDS = ("projects", "repos", "branches", "commits", "pipelines", "jobs", "defaults", "role_bindings")


class FaultLab(Lab):
    """A lab with authentication, whose owner the modules are; `directory` is for files of this machine."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        token = directory / "token"
        token.touch(mode=0o600)
        token.write_text(TOKEN)
        super().__init__(directory, capsys, auth_root_token_file=token)
        self.directory = directory
        self.client.auth_token = TOKEN

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        return super().run(module, check, **{"auth_token": TOKEN, **options})

    def restart(self) -> None:
        """A new server over what the last one left."""
        self.server = Server(self.server.settings)
        self.address = self.server.address
        self.client = Client.from_pachd_address(self.address, auth_token=TOKEN)


def what_is_there(lab: FaultLab) -> Any:
    """All that the lab holds once its jobs have ended, and the files below `dest` on this machine."""
    for info in list(lab.client.pps.list_job()):
        lab.client.pps.inspect_job(job=info.job, wait=True)
    found = lab.run("info", gather=list(_KINDS))
    finished = {(c["project"], c["repo"]) for c in found["commits"] if c["finished"]}
    names = [repo["name"] for repo in found["repos"] if ("default", repo["name"]) in finished]
    secrets = [info.secret.name for info in lab.client.pps.list_secret().secret_info]
    dest = lab.directory / "dest"
    return settled(
        {kind: found[kind] for kind in _KINDS}
        | {
            "files": {name: str(lab.files(name)) for name in names},
            "secrets": {name: str(lab.server.core.pps.secrets.values(name)) for name in secrets},
            "dest": {str(p.relative_to(dest)): p.read_text() for p in dest.rglob("*") if p.is_file()},
        }
    )


def settled(value: Any) -> Any:
    """A value without what differs from run to run."""
    return json.loads(_PASSING.sub("*", json.dumps(value, sort_keys=True)))


@dataclass(frozen=True)
class Row:
    """A run of a module.

    `arrange` makes the lab that it finds, and returns its options; `calls` are the methods that are broken in
    it. `unsafe` are those that are not sent again, and `unneeded` those without which the run goes on, each
    with the reason. With `once_more`, which says why, the next run after a broken one does not have to leave
    what an undisturbed one leaves. An `atomic` run that is broken leaves everything as it was. `passing` are
    the parts of the result that differ from run to run; `fails` is for what fails undisturbed, too.
    """

    module: str
    arrange: Callable[[FaultLab], dict[str, Any]]
    calls: tuple[str, ...]
    unsafe: Mapping[str, str] = field(default_factory=dict)
    unneeded: Mapping[str, str] = field(default_factory=dict)
    once_more: str = ""
    atomic: bool = False
    passing: tuple[str, ...] = ()
    fails: bool = False
    look: Callable[[FaultLab], Any] = what_is_there

    def run(self, lab: FaultLab, options: Mapping[str, Any], **others: Any) -> dict[str, Any]:
        return lab.run(self.module, **{**options, **others})

    def told(self, lab: FaultLab, result: dict[str, Any]) -> Any:
        """What of a result is the same in each run."""
        kept = {key: value for key, value in result.items() if key not in ("invocation", *self.passing)}
        return json.loads(json.dumps(settled(kept)).replace(str(lab.directory), "*"))


def is_stream(method: Method) -> bool:
    return method.request_streams or method.response_streams


def kill_before(patch: pytest.MonkeyPatch, lab: FaultLab, method: str, number: int) -> None:
    """Has pachd end right before the call number `number`, from 1, of the method."""
    real = _connection._Calls._retried
    left = [number]

    def retried(self: Any, name: str, *arguments: Any) -> Any:
        if name.endswith(f"/{method}"):
            left[0] -= 1
            if left[0] == 0:
                lab.server.stop(grace=0)
        return real(self, name, *arguments)

    patch.setattr(_connection._Calls, "_retried", retried)
    # One call at a time, and none for long: a server that stops within this process can leave another's
    # call without an end, which no process that is killed does.
    patch.setattr(_connection, "_STREAM_SECONDS", 5.0)
    patch.setattr(_at_once, "_CALLS", 1)
    patch.setattr(_download, "_CALLS_AT_ONCE", 1)

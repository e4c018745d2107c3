# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_role_binding, as pach:root where authentication is active."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .case import MISSING, NAMED, Case, Step, Table, listed

READER, WRITER = {"robot:a": ["repoReader"]}, {"robot:a": ["repoWriter"]}
PROJECT = {"robot:a": ["projectViewer"]}


TOKEN = "the-root-token-of-these-cases"


def settings(directory: Path) -> dict[str, Any]:
    """A pachd where authentication is active."""
    token_file = directory / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN)
    return {"auth_root_token_file": token_file}


def world(lab: Any) -> None:
    """Two repos, and one of the same name in another project."""
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}, {"name": "data", "project": "vision"}])


def alike(lab: Any) -> None:
    """A repo with the name of a project."""
    world(lab)
    lab.run("repo", name="vision")


def with_foreign(lab: Any) -> None:
    """Somebody else has a role on the repo."""
    world(lab)
    lab.run("role_binding", **DATA, roles=FOREIGN)


FOREIGN = {"robot:b": ["repoReader"]}
DATA: dict[str, Any] = {"type": "repo", "name": "data"}
CASES = [
    Case(
        "type",
        Step("repo", sees=["repo"]),
        Step("project", sees=["project"]),
        NAMED,
        given={"name": "vision", "roles": PROJECT},
        world=alike,
        look="role_bindings[].type",
    ),
    Case(
        "name",
        Step("data", sees=["default/data"]),
        Step("other", sees=["default/other"]),
        Step(fails="name: is required, the name of the repo"),
        given={"type": "repo", "roles": READER},
        look="role_bindings[].resource",
    ),
    Case(
        "project",
        Step("vision", sees=["vision/data"]),
        Step("default", sees=["default/data"]),
        Step(changed=False, sees=["default/data"]),
        given={**DATA, "roles": READER},
        look="role_bindings[].resource",
    ),
    Case(
        "roles",
        Step(READER, sees=[["repoReader"]]),
        Step(WRITER, sees=[["repoReader", "repoWriter"]]),
        Step(fails="roles: is required"),
        given=DATA,
        look='role_bindings[].roles."robot:a"',
    ),
    Case(
        "exclusive",
        Step(True, sees=[], given={"roles": READER}),
        Step(False, sees=[["repoReader"]], given={"roles": FOREIGN}),
        Step(changed=False, sees=[["repoReader"]], given={"roles": READER}),
        Step(given={"roles": FOREIGN, "state": "absent"}),
        given=DATA,
        world=with_foreign,
        look='role_bindings[].roles."robot:b"',
    ),
    Case("state", Step("present"), Step("absent"), Step(), given={**DATA, "roles": READER}),
]
SOME = [{**DATA, "roles": READER}, {"type": "cluster", "roles": {"group:ops": ["clusterAdmin"]}}]
TABLES = [
    Table(
        "role_binding",
        [
            *CASES,
            Case("role_bindings", Step(SOME[:1]), Step(SOME), NAMED),
            *listed("role_bindings", CASES, type={"omitted": MISSING}, roles={"omitted": MISSING}),
        ],
        world=world,
        settings=settings,
        common={"auth_token": TOKEN},
    )
]

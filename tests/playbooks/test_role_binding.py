# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_role_binding: set, again, change, omit, absent, each with its check-mode twin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import auth

from .conftest import Lab

TOKEN = "the-root-token-of-these-tests"
READER, WRITER, OWNER = "repoReader", "repoWriter", "repoOwner"


class AuthLab(Lab):
    """With active authentication; modules run as pach:root."""

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        return super().run(module, check, **{"auth_token": TOKEN, **options})

    def both(self, **options: Any) -> dict[str, Any]:
        """The result of a run that check mode has told beforehand."""
        predicted = self.run("role_binding", check=True, **options)
        result = self.run("role_binding", **options)
        assert predicted == result
        assert TOKEN not in str(result)
        return result

    def roles(self, kind: str, name: str = "") -> dict[str, list[str]]:
        resource = auth.Resource(type=auth.ResourceType[kind], name=name)
        entries = self.client.auth.get_role_binding(resource=resource).binding.entries
        return {principal: sorted(entry.roles) for principal, entry in entries.items()}


@pytest.fixture
def secured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[AuthLab]:
    token_file = tmp_path / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN)
    made = AuthLab(tmp_path, capsys, auth_root_token_file=token_file)
    made.client.auth_token = TOKEN
    made.run("project", name="vision")
    made.run("repo", repos=[{"name": "data"}, {"name": "images", "project": "vision"}])
    yield made
    made.server.stop(grace=0)


def test_life_on_a_repo(secured: AuthLab) -> None:
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"roles": {"robot:a": [READER]}}, True),
        ({"roles": {"robot:a": [READER]}}, False),
        ({"roles": {"robot:a": [WRITER]}}, True),
        ({"roles": {"robot:a": [WRITER]}}, False),
        ({"roles": {"robot:a": []}}, False),
        ({"roles": {}}, False),
        ({"roles": {"robot:a": [WRITER]}, "exclusive": True}, True),
        ({"roles": {"robot:a": [WRITER]}, "exclusive": True}, False),
        ({"roles": {"robot:a": [WRITER, READER], "robot:b": [OWNER]}}, True),
        ({"roles": {"robot:a": [READER]}, "state": "absent"}, True),
        ({"roles": {"robot:a": [READER]}, "state": "absent"}, False),
        ({"roles": {"robot:b": []}, "state": "absent"}, True),
        ({"roles": {"robot:b": []}, "state": "absent"}, False),
    ]
    for options, changed in steps:
        assert secured.both(type="repo", name="data", **options)["changed"] is changed, options
    assert secured.roles("REPO", "default/data") == {"pach:root": [OWNER], "robot:a": [WRITER]}


def test_exclusive_leaves_pachyderm_s_own(secured: AuthLab) -> None:
    resource = auth.Resource(type=auth.ResourceType.REPO, name="default/data")
    secured.client.auth.modify_role_binding(resource=resource, principal="pipeline:default/p", roles=[READER])
    declared = {"type": "repo", "name": "data", "roles": {"robot:a": [READER]}}
    secured.both(type="repo", name="data", roles={"robot:x": [READER], "robot:y": [READER]})
    result = secured.both(**declared, exclusive=True)
    assert [(action["action"], action["name"].split()[0]) for action in result["actions"]] == [
        ("create", "robot:a"),
        ("delete", "robot:x"),
        ("delete", "robot:y"),
    ]
    assert set(secured.roles("REPO", "default/data")) == {"pach:root", "pipeline:default/p", "robot:a"}
    secured.both(type="repo", name="data", roles={"pach:root": [READER]}, exclusive=True)
    assert secured.roles("REPO", "default/data")["pach:root"] == [READER]


def test_each_kind_of_resource_in_one_list(secured: AuthLab) -> None:
    declared = [
        {"type": "cluster", "roles": {"group:ops": ["clusterAdmin"]}},
        {"type": "project", "name": "vision", "roles": {"user:a@example.com": ["projectOwner"]}},
        {"type": "repo", "name": "images", "project": "vision", "roles": {"allClusterUsers": [READER]}},
    ]
    result = secured.both(role_bindings=declared)
    assert [one["resource"] for one in result["role_bindings"]] == ["", "vision", "vision/images"]
    assert result["diff"]["after"]["role_binding group:ops on cluster"] == {"roles": ["clusterAdmin"]}
    assert not secured.both(role_bindings=declared)["changed"]
    assert not secured.both(project="vision", type="repo", name="images", roles={})["changed"]
    assert secured.roles("PROJECT", "vision")["user:a@example.com"] == ["projectOwner"]
    assert secured.both(role_bindings=declared, state="absent")["changed"]
    assert "group:ops" not in secured.roles("CLUSTER")


def test_authentication_that_is_off(lab: Lab) -> None:
    for check in (True, False):
        result = lab.run("role_binding", check=check, type="cluster", roles={"robot:a": [READER]})
        assert "cluster: no roles while authentication is off" in result["msg"]


def test_what_does_not_exist(secured: AuthLab) -> None:
    declared: dict[str, Any] = {"type": "repo", "name": "soon", "roles": {"robot:a": [READER]}}
    result = secured.run("role_binding", check=True, **declared)
    assert result["changed"]
    assert result["warnings"] == ["repo default/soon does not exist yet"]
    assert (
        "repo default/soon does not exist; create it first" in secured.run("role_binding", **declared)["msg"]
    )
    assert not secured.both(**declared, state="absent")["changed"]


def test_who_may_not(secured: AuthLab) -> None:
    token = secured.client.auth.get_robot_token(robot="nobody").token
    declared: dict[str, Any] = {"type": "repo", "name": "data", "roles": {"robot:nobody": [OWNER]}}
    result = secured.run("role_binding", auth_token=token, **declared)
    assert "REPO_MODIFY_BINDINGS" in result["msg"]
    assert token not in str(result)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "repo", "roles": {}}, "name: is required, the name of the repo"),
        ({"type": "cluster", "name": "x", "roles": {}}, "name: there is one cluster"),
        ({"type": "project", "name": "-x", "roles": {}}, 'name: project name "-x"'),
        ({"type": "cluster"}, "roles: is required"),
        (
            {"type": "cluster", "roles": {"alice": [READER]}},
            "roles: alice: must be allClusterUsers, or a name",
        ),
        ({"type": "cluster", "roles": {"dog:rex": [READER]}}, "roles: dog:rex: must be"),
        ({"type": "cluster", "roles": {"pach:root": []}}, "pachd lets nobody change its roles"),
        (
            {"type": "cluster", "roles": {"robot:a": ["reader"]}},
            "roles[robot:a]: no role of Pachyderm: reader;",
        ),
        ({"type": "cluster", "roles": {"robot:a": READER}}, "roles[robot:a]: must be a list of roles"),
        (
            {"role_bindings": [{"type": "cluster", "roles": {}}, {"type": "cluster", "roles": {}}]},
            "role_bindings[1]: resource cluster is declared in role_bindings[0]",
        ),
        ({"role_bindings": [{"type": "cluster", "roles": {"x": []}}]}, "role_bindings[0].roles: x: must be"),
    ],
)
def test_bad_input_writes_nothing(secured: AuthLab, options: dict[str, Any], message: str) -> None:
    before = secured.mutations()
    result = secured.run("role_binding", **options)
    assert result["failed"]
    assert message in result["msg"]
    assert secured.mutations() == before

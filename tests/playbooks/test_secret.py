# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_secret: each run as check mode told; no value is seen."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab

VALUE, OTHER = "swordfish-1", "swordfish-2"


def both(lab: Lab, **options: Any) -> dict[str, Any]:
    """The result of a run that check mode has told beforehand. No value is in either."""
    predicted = lab.run("secret", check=True, **options)
    result = lab.run("secret", **options)
    assert predicted == result
    for hidden in (VALUE, OTHER, base64.b64encode(VALUE.encode()).decode()):
        assert hidden not in str(result)
        assert hidden not in lab.journal.read_text()
    return result


def values(lab: Lab, name: str) -> dict[str, str]:
    found = lab.server.core.pps.secrets.values(name)
    return {key: value.decode() for key, value in found.items()}


def type_of(lab: Lab, name: str) -> str:
    return str(next(i.type for i in lab.client.pps.list_secret().secret_info if i.secret.name == name))


def test_values_are_text_and_all_of_them(lab: Lab) -> None:
    steps: list[tuple[dict[str, Any], bool]] = [
        ({"key": VALUE, "port": 5432}, True),
        ({"key": VALUE, "port": "5432"}, False),
        ({"key": VALUE}, True),
    ]
    for data, changed in steps:
        assert both(lab, name="db", data=data)["changed"] is changed, data


def test_values_get_there(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(VALUE)
    declared = {"name": "db", "data": {"user": "reader"}, "files": {"key": str(tmp_path / "key")}}
    assert both(lab, **declared)["secrets"] == [{"name": "db", "keys": ["key", "user"]}]
    assert values(lab, "db") == {"user": "reader", "key": VALUE}
    assert not both(lab, **declared)["changed"]
    (tmp_path / "key").write_text(OTHER)
    result = both(lab, **declared)
    assert result["actions"] == [{"action": "update", "kind": "secret", "name": "db"}]
    assert values(lab, "db")["key"] == OTHER


def test_a_type_of_ones_own(lab: Lab) -> None:
    declared: dict[str, Any] = {
        "name": "pull",
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": "{}"},
    }
    assert "type: a secret with a type of yours has no room" in lab.run("secret", **declared)["msg"]
    assert both(lab, **declared, update="on_create")["changed"]
    assert type_of(lab, "pull") == "kubernetes.io/dockerconfigjson"
    assert not both(lab, **declared, update="on_create")["changed"]
    assert both(lab, **declared, update="always")["changed"]


def test_the_digest_is_salted(lab: Lab) -> None:
    both(lab, secrets=[{"name": "a", "data": {"key": VALUE}}, {"name": "b", "data": {"key": VALUE}}])
    lab.run("secret", name="a", data={"key": VALUE}, update="always")
    assert type_of(lab, "a") != type_of(lab, "b")
    assert VALUE not in type_of(lab, "a")


def test_what_somebody_else_made_is_replaced_once(lab: Lab) -> None:
    data = {"key": base64.b64encode(VALUE.encode()).decode()}
    for name, kind in (("a", "Opaque"), ("b", "gpulab.pachyderm/scrypt-" + "z" * 32 + "-00")):
        manifest = {"metadata": {"name": name}, "type": kind, "data": data}
        lab.server.core.pps.secrets.create(json.dumps(manifest).encode())
        assert both(lab, name=name, data={"key": VALUE})["changed"]
        assert not both(lab, name=name, data={"key": VALUE})["changed"]


def test_a_list(lab: Lab) -> None:
    lab.run("secret", name="gone", data={"key": VALUE})
    declared = [{"name": "a", "data": {"key": VALUE}}, {"name": "gone", "state": "absent"}]
    result = both(lab, secrets=declared)
    assert [(action["action"], action["name"]) for action in result["actions"]] == [
        ("create", "a"),
        ("delete", "gone"),
    ]
    assert not both(lab, secrets=declared)["changed"]
    assert both(lab, secrets=declared, update="always")["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "A"}, "name: A: only lower-case letters"),
        ({"name": "a"}, "data: is required, or files"),
        ({"name": "a", "data": {}}, "data: is required"),
        ({"name": "a", "data": {"k y": VALUE}}, "data: key k y: only letters"),
        ({"name": "a", "data": {"key": [VALUE]}}, "data.key: must be text; put it in quotes"),
        ({"name": "a", "data": {"key": True}}, "data.key: must be text"),
        ({"name": "a", "data": {"key": VALUE}, "files": {"key": "/x"}}, "files.key: is in data too"),
        ({"name": "a", "files": {"key": "/nowhere/key"}}, "files.key: /nowhere/key: No such file"),
        ({"name": "a", "data": {"key": "x" * 1_048_577}}, "data: more than 1 MiB"),
        (
            {"name": "a", "data": {"key": VALUE}, "type": "gpulab.pachyderm/scrypt-", "update": "always"},
            "its own",
        ),
        (
            {"secrets": [{"name": "a", "data": {"k": "v1v1v1"}}, {"name": "a", "state": "absent"}]},
            "secrets[1]: secret a",
        ),
    ],
)
def test_bad_input_writes_nothing(lab: Lab, options: dict[str, Any], message: str) -> None:
    result = lab.run("secret", **options)
    assert result["failed"]
    assert message.replace("its own", "begins as the module's own type") in result["msg"]
    assert VALUE not in str(result)
    assert lab.mutations() == []

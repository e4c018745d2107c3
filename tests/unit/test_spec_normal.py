# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs that mean the same have one form, and others do not."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._spec_normal import normal

SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"datum_tries": 3}, {"datumTries": "3"}),
    ({"parallelism_spec": {"constant": "2"}}, {"parallelismSpec": {"constant": 2}}),
    ({"resource_requests": {"cpu": 0.01}}, {"resourceRequests": {"cpu": 0.009999999776482582}}),
    (
        {"resource_limits": {"gpu": {"type": "g", "number": 1}}},
        {"resourceLimits": {"gpu": {"type": "g", "number": "1"}}},
    ),
    ({"autoscaling": False}, {}),
    ({"description": ""}, {}),
    ({"description": None}, {}),
    ({"update": True, "reprocess": True, "dry_run": True}, {}),
    ({"datum_timeout": "300s"}, {"datumTimeout": "300.000s"}),
    ({"pipeline": {"name": "p"}}, {"pipeline": {"name": "p", "project": {"name": "default"}}}),
    ({"tolerations": [{"operator": "EXISTS"}]}, {"tolerations": [{"operator": 1}]}),
    ({"tolerations": [{"toleration_seconds": "0"}]}, {"tolerations": [{"tolerationSeconds": 0}]}),
    ({"transform": {"accept_return_code": ["1", 2]}}, {"transform": {"acceptReturnCode": [1, 2]}}),
    (
        {"input": {"pfs": {"repo": "d", "glob": "/"}}},
        {"input": {"pfs": {"repo": "d", "glob": "/", "branch": "master", "name": "d", "repoType": "user"}}},
    ),
    (
        {"input": {"cross": [{"union": [{"pfs": {"repo": "d", "glob": "/", "lazy": False}}]}]}},
        {"input": {"cross": [{"union": [{"pfs": {"repo": "d", "glob": "/", "project": "default"}}]}]}},
    ),
    ({"egress": {"URL": "s3://b"}}, {"egress": {"url": "s3://b"}}),
]

DIFFERENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"datum_tries": 3}, {"datum_tries": 4}),
    ({"spout": {}}, {}),
    ({"tolerations": [{"toleration_seconds": 0}]}, {"tolerations": [{}]}),
    ({"transform": {"env": {"a_b": "1"}}}, {"transform": {"env": {"aB": "1"}}}),
    ({"transform": {"env": {"A": ""}}}, {"transform": {"env": {}}}),
    ({"transform": {"cmd": ["a", "b"]}}, {"transform": {"cmd": ["b", "a"]}}),
    ({"metadata": {"labels": {"x_y": "1"}}}, {"metadata": {"labels": {"xY": "1"}}}),
    ({"input": {"pfs": {"repo": "d", "glob": "/"}}}, {"input": {"pfs": {"repo": "d", "glob": "/*"}}}),
    ({"resource_requests": {"cpu": 0.5}}, {"resource_requests": {"cpu": 0.6}}),
    ({"newer_field": 1}, {"newer_field": 2}),
    ({"pipeline": {"name": "p"}}, {"pipeline": {"name": "p", "project": {"name": "vision"}}}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert normal(one, "default") == normal(other, "default")


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert normal(one, "default") != normal(other, "default")


def test_form_is_its_own_form() -> None:
    spec: dict[str, Any] = {}
    for one, _ in SAME:
        spec |= one
    assert normal(normal(spec, "default"), "default") == normal(spec, "default")


def test_wrong_types_stay_for_pachd_to_refuse() -> None:
    assert normal({"datum_tries": "many"}, "default")["datumTries"] == "many"
    assert normal({"transform": "sh"}, "default")["transform"] == "sh"
    assert normal({"datum_timeout": 5}, "default")["datumTimeout"] == 5

# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a wrong type are told by their key; what protobuf's JSON mapping takes is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._spec_types import type_problem


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"pipeline": None, "transform": {"cmd": ["sh"], "env": {"A": "1"}, "acceptReturnCode": [1, "2"]}},
        {"datum_tries": 3.0, "datumTimeout": "1.5s", "parallelism_spec": {"constant": "2"}},
        {"resource_limits": {"cpu": "0.5", "memory": "1G", "gpu": {"type": "nvidia.com/gpu", "number": "1"}}},
        {
            "input": {
                "cross": [{"pfs": {"repo": "d", "glob": "/"}}, {"union": [{"cron": {"spec": "@daily"}}]}]
            }
        },
        {"input": {"cron": {"name": "c", "spec": "@daily", "start": "2026-01-01T00:00:00Z"}}},
        {"tolerations": [{"operator": "EXISTS", "effect": 1, "toleration_seconds": "5"}]},
        {"metadata": {"labels": {"a": "b"}}, "scheduling_spec": {"node_selector": {"a": "b"}}},
        {"newer_than_the_sdk": {"a": [1]}},
    ],
)
def test_what_pachd_takes(spec: dict[str, Any]) -> None:
    assert type_problem(spec) == ""


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"transform": {"cmd": "true"}}, "transform.cmd: must be a list, not a text"),
        ({"transform": {"cmd": ["seq", 3]}}, "transform.cmd[1]: must be a text, not a number"),
        ({"transform": {"cmd": [None]}}, "transform.cmd[0]: must be a text, not null"),
        ({"transform": "sh"}, "transform: must be a mapping, not a text"),
        ({"transform": {"env": "PIN=1"}}, "transform.env: must be a mapping of texts, not a text"),
        (
            {"transform": {"env": {"PIN": True}}},
            "transform.env.PIN: must be a text in quotes, not true or false",
        ),
        ({"datum_timeout": 30}, 'datum_timeout: must be a text of seconds such as "30s", not 30'),
        ({"jobTimeout": "1m"}, "jobTimeout: must be a text of seconds such as \"30s\", not '1m'"),
        ({"datum_tries": 1.5}, "datum_tries: must be a whole number, not 1.5"),
        ({"datum_tries": True}, "datum_tries: must be a whole number, not true or false"),
        ({"resource_limits": {"cpu": "half"}}, "resource_limits.cpu: must be a number, not 'half'"),
        ({"autoscaling": "yes"}, "autoscaling: must be true or false, without quotes, not a text"),
        (
            {"input": {"cross": [{"pfs": {"repo": "d"}}, {"pfs": {"repo": ["d"]}}]}},
            "input.cross[1].pfs.repo: must be a text, not a list",
        ),
        ({"tolerations": [{"operator": 1.5}]}, "tolerations[0].operator: must be a name, not a number"),
    ],
)
def test_what_pachd_refuses(spec: dict[str, Any], problem: str) -> None:
    assert type_problem(spec) == problem

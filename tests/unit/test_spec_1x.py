# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs of Pachyderm 1.x: each thing converted, dropped or refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._spec_1x import convert

GPU = {"type": "nvidia.com/gpu", "number": 2}


@pytest.mark.parametrize(
    ("old", "new", "notes"),
    [
        (
            {"input": {"atom": {"repo": "d", "glob": "/"}}},
            {"input": {"pfs": {"repo": "d", "glob": "/"}}},
            ["input.atom is now input.pfs"],
        ),
        (
            {"input": {"cross": [{"atom": {"repo": "d", "glob": "/"}}, {"pfs": {"repo": "e", "glob": "/"}}]}},
            {"input": {"cross": [{"pfs": {"repo": "d", "glob": "/"}}, {"pfs": {"repo": "e", "glob": "/"}}]}},
            ["input.cross[0].atom is now input.cross[0].pfs"],
        ),
        (
            {"input": {"atom": {"repo": "d", "glob": "/", "from_commit": "x"}}},
            {"input": {"pfs": {"repo": "d", "glob": "/"}}},
            [
                "input.atom is now input.pfs",
                "input.atom.from_commit dropped: 2.x reads the whole branch",
            ],
        ),
        (
            {"resource_limits": {"cpu": 1, "gpu": 2}},
            {"resource_limits": {"cpu": 1, "gpu": GPU}},
            ["resource_limits.gpu 2 is now type nvidia.com/gpu, number 2"],
        ),
        (
            {"resourceRequests": {"gpu": "2"}},
            {"resourceRequests": {"gpu": GPU}},
            ["resourceRequests.gpu 2 is now type nvidia.com/gpu, number 2"],
        ),
        ({"resource_limits": {"gpu": 0}}, {"resource_limits": {}}, ["resource_limits.gpu dropped: it is 0"]),
        (
            {"parallelism_spec": {"coefficient": 1.0}},
            {},
            ["parallelism_spec.coefficient dropped: only a constant number of workers is left"],
        ),
        (
            {"parallelismSpec": {"strategy": "CONSTANT", "constant": 2}},
            {"parallelismSpec": {"constant": 2}},
            ["parallelismSpec.strategy dropped: only a constant number of workers is left"],
        ),
        ({"standby": True}, {"autoscaling": True}, ["standby is now autoscaling"]),
        (
            {"chunk_spec": {"number": 3}},
            {"datum_set_spec": {"number": 3}},
            ["chunk_spec is now datum_set_spec"],
        ),
        (
            {"datum_timeout": "1h2m3.5s"},
            {"datum_timeout": "3723.5s"},
            ["datum_timeout 1h2m3.5s is now 3723.5s"],
        ),
        ({"jobTimeout": "500ms"}, {"jobTimeout": "0.5s"}, ["jobTimeout 500ms is now 0.5s"]),
        ({"egress": {"url": "s3://b"}}, {"egress": {"URL": "s3://b"}}, ["egress.url is now egress.URL"]),
        ({"cache_size": "64M"}, {}, ["cache_size dropped: there is no such cache"]),
        ({"enableStats": True}, {}, ["enableStats dropped: statistics are always kept"]),
        ({"incremental": True}, {}, ["incremental dropped: every datum is computed on its own"]),
    ],
)
def test_conversions(old: dict[str, Any], new: dict[str, Any], notes: list[str]) -> None:
    assert convert(old) == (new, notes)


@pytest.mark.parametrize(
    "field", ["batch", "max_queue_size", "hashtree_spec", "scale_down_threshold", "scaleDownThreshold"]
)
def test_dropped_fields(field: str) -> None:
    spec, notes = convert({field: 1, "description": "d"})
    assert spec == {"description": "d"}
    assert notes[0].startswith(f"{field} dropped: ")


def test_spec_of_2x_comes_out_as_it_went_in() -> None:
    spec = {
        "pipeline": {"name": "p"},
        "input": {"pfs": {"repo": "d", "glob": "/*"}},
        "transform": {"cmd": ["sh"], "stdin": ["echo > /pfs/out/fixed"]},
        "resource_limits": {"gpu": GPU},
        "datum_timeout": "300s",
        "parallelism_spec": {"constant": 1},
    }
    assert convert(spec) == (spec, [])


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ({"input": {"git": {"URL": "x"}}}, "input.git: 2.x has no git input"),
        (
            {"input": {"atom": {"repo": "d", "commit": "x"}}},
            "input.atom.commit: 2.x reads the head of a branch",
        ),
        ({"inputs": []}, "inputs: this form is older than Pachyderm 1.4"),
        ({"transform": {"build": {"path": "."}}}, "transform.build: 2.x builds no images"),
        ({"resource_limits": {"gpu": "many"}}, "resource_limits.gpu: must be a number of GPUs"),
    ],
)
def test_what_has_no_counterpart_is_refused(old: dict[str, Any], message: str) -> None:
    with pytest.raises(PachydermError) as error:
        convert(old)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("value", "line", "joined"),
    [
        ({"atom": {"repo": "d", "glob": "/*"}}, "ls > /pfs/out/a.txt", "/pfs/out/a.txt"),
        ({"atom": {"repo": "d", "glob": "/"}}, "ls > /pfs/out/a.txt", ""),
        ({"atom": {"repo": "d", "glob": "/*"}}, "cp /pfs/d/* /pfs/out/", ""),
        ({"atom": {"repo": "d", "glob": "/*"}}, "ls > /pfs/out/$name.txt", ""),
        ({"atom": {"repo": "d", "glob": "/*"}}, "ls > /pfs/out/$(date)", ""),
        (
            {"atom": {"repo": "d", "glob": "/**"}},
            "ls | tee '/pfs/out/x' /pfs/out/y; true",
            "/pfs/out/x, /pfs/out/y",
        ),
        ({"union": [{"atom": {"repo": "d", "glob": "/"}}] * 2}, "ls > /pfs/out/a", "/pfs/out/a"),
    ],
)
def test_files_that_1x_joined(value: dict[str, Any], line: str, joined: str) -> None:
    _, notes = convert({"input": value, "transform": {"cmd": ["sh"], "stdin": ["set -e", line]}})
    texts = [note for note in notes if "Pachyderm 1.x joined such files, 2.x fails the job" in note]
    assert len(texts) == bool(joined)
    if joined:
        assert texts[0].startswith(f"several datums write {joined}: ")


def test_input_is_not_changed() -> None:
    old = {"input": {"atom": {"repo": "d", "glob": "/"}}, "resource_limits": {"gpu": 1}}
    convert(old)
    assert old == {"input": {"atom": {"repo": "d", "glob": "/"}}, "resource_limits": {"gpu": 1}}

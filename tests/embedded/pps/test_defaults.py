# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines that name no project: pachd 2.12 cannot make them anew, and neither can this one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grpc import StatusCode


@pytest.fixture
def defaults(lab: Any) -> Any:
    """The cluster's as they were, after the test."""
    before = lab.pps.get_cluster_defaults().cluster_defaults_json
    yield json.loads(before)
    lab.pps.set_cluster_defaults(cluster_defaults_json=before)


def named(lab: Any, name: str) -> dict[str, Any]:
    """A pipeline whose spec says that its project is the default one."""
    spec: dict[str, Any] = lab.spec(name, lab.repo(a="1"), "true")
    return spec | {"pipeline": {"name": name, "project": {"name": "default"}}}


def test_rerunning_one_is_refused(lab: Any, refused: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    with refused(StatusCode.UNKNOWN, "^project picker cannot be nil$"):
        lab.pps.rerun_pipeline(pipeline=lab.key(pipeline))
    assert lab.pipeline_info(pipeline).version == 1


def test_regenerating_one_changes_nothing_at_all(lab: Any, refused: Any, defaults: Any) -> None:
    other, unnamed = lab.name("pipe"), lab.pipeline(lab.repo(a="1"), "true")
    lab.create(named(lab, other))
    defaults["createPipelineRequest"]["datumTries"] = 8
    text = json.dumps(defaults)
    before = lab.pps.get_cluster_defaults().cluster_defaults_json
    dry = lab.pps.set_cluster_defaults(cluster_defaults_json=text, regenerate=True, dry_run=True)
    assert {unnamed, other} <= {pipeline.name for pipeline in dry.affected_pipelines}
    with refused(StatusCode.UNKNOWN, "^unknown error: could not write cluster defaults$"):
        lab.pps.set_cluster_defaults(cluster_defaults_json=text, regenerate=True)
    assert lab.pps.get_cluster_defaults().cluster_defaults_json == before
    assert [lab.pipeline_info(name).version for name in (unnamed, other)] == [1, 1]


def test_cluster_defaults_make_those_that_name_it_anew(lab: Any, defaults: Any) -> None:
    lab.pps.delete_pipelines(all=True, force=True)
    upstream, downstream = lab.name("pipe"), lab.name("pipe")
    lab.create(named(lab, upstream))
    spec = named(lab, downstream)
    spec["input"] = {"pfs": {"repo": upstream, "glob": "/*"}}
    lab.create(spec)
    lab.job(downstream)
    defaults["createPipelineRequest"]["datumTries"] = 8
    answer = lab.pps.set_cluster_defaults(cluster_defaults_json=json.dumps(defaults), regenerate=True)
    assert {pipeline.name for pipeline in answer.affected_pipelines} == {upstream, downstream}
    for name in (upstream, downstream):
        info = lab.pipeline_info(name)
        assert (info.version, info.details.datum_tries) == (2, 8)
        assert lab.counts(name).startswith("SUCCESS")
    assert lab.jobs(upstream)[0].job.id == lab.jobs(downstream)[0].job.id

# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of pipelines: run anew, made anew from other defaults, named, listed in pages, summed up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pfs, pps


class TestRerun:
    def test_it_is_a_new_version_that_skips_what_was_done(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1", b="2"), "true")
        lab.job(pipeline)
        before = lab.pipeline_info(pipeline)
        lab.pps.rerun_pipeline(pipeline=lab.key(pipeline))
        after = lab.pipeline_info(pipeline)
        assert (after.version, after.details.salt) == (2, before.details.salt)
        assert after.user_spec_json == before.user_spec_json
        assert after.effective_spec_json == before.effective_spec_json
        assert after.spec_commit.id != before.spec_commit.id
        assert lab.counts(pipeline) == "SUCCESS s2 t2"

    def test_with_reprocess_all_is_done_again(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1", b="2"), "true")
        lab.job(pipeline)
        salt = lab.pipeline_info(pipeline).details.salt
        lab.pps.rerun_pipeline(pipeline=lab.key(pipeline), reprocess=True)
        assert lab.pipeline_info(pipeline).details.salt != salt
        assert lab.counts(pipeline) == "SUCCESS p2 t2"

    def test_what_runs_is_killed(self, lab: Any, eventually: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "sleep 600")
        eventually(lambda: lab.state(pipeline) == "RUNNING")
        killed = lab.jobs(pipeline)[0].job.id
        lab.pps.rerun_pipeline(pipeline=lab.key(pipeline))
        assert (lab.state(pipeline, killed), len(lab.jobs(pipeline, history=-1))) == ("KILLED", 2)
        assert "pipeline was updated" in lab.job(pipeline, killed).reason

    def test_of_a_missing_pipeline(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.NOT_FOUND, "none"):
            lab.pps.rerun_pipeline(pipeline=lab.key("none"))


class TestProjectDefaults:
    """Regenerated pipelines; that new ones use the defaults is in test_pipelines.py."""

    def set(self, lab: Any, request: dict[str, Any], **flags: bool) -> list[str]:
        text = json.dumps({"createPipelineRequest": request})
        answer = lab.pps.set_project_defaults(project=lab.owner, project_defaults_json=text, **flags)
        return [pipeline.name for pipeline in answer.affected_pipelines]

    def test_without_regenerate_nothing_is_affected(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        assert self.set(lab, {"datumTries": 7}) == []
        info = lab.pipeline_info(pipeline)
        assert (info.version, info.details.datum_tries) == (1, 3)

    def test_regenerate_makes_a_new_version(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        lab.job(pipeline)
        before = lab.pipeline_info(pipeline)
        assert self.set(lab, {"datumTries": 7}, regenerate=True) == [pipeline]
        info = lab.pipeline_info(pipeline)
        assert (info.version, info.details.datum_tries) == (2, 7)
        assert info.user_spec_json == before.user_spec_json
        assert info.details.salt == before.details.salt
        assert lab.counts(pipeline) == "SUCCESS s1 t1"

    def test_one_that_says_otherwise_itself_is_left_alone(self, lab: Any) -> None:
        own = lab.pipeline(lab.repo(a="1"), "true", datumTries=2)
        other = lab.pipeline(lab.repo(a="1"), "true")
        assert self.set(lab, {"datumTries": 7}, regenerate=True) == [other]
        assert lab.pipeline_info(own).version == 1

    def test_reprocess_runs_all_again(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        lab.job(pipeline)
        self.set(lab, {"datumTries": 7}, regenerate=True, reprocess=True)
        assert lab.counts(pipeline) == "SUCCESS p1 t1"

    def test_a_dry_run_names_them_and_changes_nothing(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        before = lab.pps.get_project_defaults(project=lab.owner).project_defaults_json
        assert self.set(lab, {"datumTries": 7}, regenerate=True, dry_run=True) == [pipeline]
        assert lab.pipeline_info(pipeline).version == 1
        assert lab.pps.get_project_defaults(project=lab.owner).project_defaults_json == before

    def test_the_same_defaults_again_affect_nothing(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        self.set(lab, {"datumTries": 7}, regenerate=True)
        assert self.set(lab, {"datumTries": "7"}, regenerate=True) == []
        assert lab.pipeline_info(pipeline).version == 2

    def test_pipelines_of_other_projects_are_not_affected(self, lab: Any, new_project: Any) -> None:
        lab.pipeline(lab.repo(a="1"), "true")
        text = json.dumps({"createPipelineRequest": {"datumTries": 7}})
        answer = lab.pps.set_project_defaults(
            project=new_project(), project_defaults_json=text, regenerate=True
        )
        assert answer.affected_pipelines == []


@pytest.mark.cluster_wide
def test_cluster_defaults_name_what_they_would_change(lab: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    own = lab.pipeline(lab.repo(a="1"), "true", datumTries=2)
    request = json.loads(lab.pps.get_cluster_defaults().cluster_defaults_json)
    request.setdefault("createPipelineRequest", {})["datumTries"] = 9
    answer = lab.pps.set_cluster_defaults(
        cluster_defaults_json=json.dumps(request), regenerate=True, dry_run=True
    )
    names = [each.name for each in answer.affected_pipelines if each.project.name == lab.project]
    assert names == [pipeline]
    assert lab.pipeline_info(own).version == lab.pipeline_info(pipeline).version == 1


class TestLists:
    def test_pages(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        made = [lab.pipeline(repo, "true") for _ in range(3)]

        def page(size: int, index: int) -> list[str]:
            page = pps.PipelinePage(page_size=size, page_index=index)
            infos = lab.pps.list_pipeline(projects=[lab.owner], page=page)
            return [info.pipeline.name for info in infos]

        assert page(2, 0) == [made[2], made[1]]
        assert page(2, 1) == [made[0]]
        assert page(2, 2) == []

    def test_as_they_were_at_a_commit_set(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "true")
        first = lab.job(pipeline).job.id
        lab.pipeline(repo, "false", name=pipeline, update=True)
        at = pfs.CommitSet(id=first)
        (info,) = lab.pps.list_pipeline(projects=[lab.owner], commit_set=at)
        assert (info.pipeline.name, info.version) == (pipeline, 1)

    def test_an_older_version_by_its_distance(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "true")
        lab.pipeline(repo, "false", name=pipeline, update=True)
        assert [lab.pipeline_info(f"{pipeline}{back}").version for back in ("", "^", "^0", "^1")] == [
            2,
            1,
            2,
            1,
        ]

    def test_a_version_before_the_first(self, lab: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        with refused(StatusCode.UNKNOWN, "has only 1 versions, not enough to find ancestor 3"):
            lab.pipeline_info(f"{pipeline}^3")


class TestSummary:
    def summary(self, lab: Any) -> Any:
        picked = pfs.ProjectPicker(name=lab.project)
        (summary,) = lab.pps.pipelines_summary(projects=[picked]).summaries
        assert summary.project.name == lab.project
        return summary

    def test_what_is_active_paused_and_unhealthy(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        lab.job(lab.pipeline(repo, "true"))
        lab.job(lab.pipeline(repo, "exit 1", datumTries=1))
        paused = lab.pipeline(repo, "true")
        lab.job(paused)
        lab.pps.stop_pipeline(pipeline=lab.key(paused))
        summary = self.summary(lab)
        assert (summary.active_pipelines, summary.paused_pipelines) == (2, 1)
        assert (summary.failed_pipelines, summary.unhealthy_pipelines) == (0, 1)

    def test_what_failed(self, lab: Any, settled: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), transform={"cmd": []})
        settled(pipeline, "FAILURE")
        assert self.summary(lab).failed_pipelines == 1

    def test_a_project_without_pipelines_has_none(self, lab: Any) -> None:
        picked = pfs.ProjectPicker(name=lab.project)
        assert lab.pps.pipelines_summary(projects=[picked]).summaries == []


class TestCreatePipelineV1:
    def test_an_update_and_reprocess(self, lab: Any) -> None:
        fields = {
            "pipeline": lab.key(lab.name("pipe")),
            "input": pps.Input(
                pfs=pps.PfsInput(repo=lab.repo(a="1"), project=lab.project, name="d", glob="/*")
            ),
            "resource_requests": pps.ResourceSpec(cpu=0.01),
            "sidecar_resource_requests": pps.ResourceSpec(cpu=0.01),
        }
        name = fields["pipeline"].name
        lab.pps.create_pipeline(transform=pps.Transform(cmd=["true"]), **fields)
        assert lab.counts(name) == "SUCCESS p1 t1"
        lab.pps.create_pipeline(
            transform=pps.Transform(cmd=["bash"], stdin=["exit 0"]), update=True, reprocess=True, **fields
        )
        assert lab.pipeline_info(name).version == 2
        assert lab.counts(name) == "SUCCESS p1 t1"

    def test_one_that_is_there(self, lab: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        node = pps.Input(pfs=pps.PfsInput(repo=lab.repo(a="1"), project=lab.project, glob="/*"))
        with refused(StatusCode.ALREADY_EXISTS, "already exists"):
            lab.pps.create_pipeline(
                pipeline=lab.key(pipeline), transform=pps.Transform(cmd=["true"]), input=node
            )


def test_run_pipeline_is_not_there_any_more(lab: Any, refused: Any) -> None:
    pipeline = lab.pipeline(lab.repo(a="1"), "true")
    with refused(StatusCode.UNKNOWN, "unimplemented"):
        lab.pps.run_pipeline(pipeline=lab.key(pipeline))


@pytest.mark.embedded_only
@pytest.mark.parametrize(
    ("method", "request_fields"),
    [
        ("run_load_test", {}),
        ("run_load_test_default", {}),
        ("render_template", {"template": "x"}),
        ("update_job_state", {"job": pps.Job(id="x")}),
        ("check_status", {"all": True}),
        ("query_loki", {"query": "x"}),
        ("get_kube_events", {}),
    ],
)
def test_what_is_not_served_says_so(client: Any, refused: Any, method: str, request_fields: Any) -> None:
    with refused(StatusCode.UNIMPLEMENTED, "^the embedded pachd "):
        answer = getattr(client.pps, method)(**request_fields)
        list(answer)  # a stream's error comes with its first message

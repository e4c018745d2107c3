# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines as entities: create, update, list, delete, defaults, and each refusal with its code and text."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from pachyderm_sdk.api import pfs, pps

NOT_FOUND, UNKNOWN = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN
INVALID = grpc.StatusCode.INVALID_ARGUMENT
REQUESTS = {"cpu": 1, "memory": "256Mi", "disk": "1Gi"}


def spec(name: str, repo: str = "data", **changes: Any) -> dict[str, Any]:
    base = {
        "pipeline": {"name": name},
        "input": {"pfs": {"repo": repo, "glob": "/*"}},
        "transform": {"cmd": ["true"]},
    }
    return base | changes


def create(lab: Any, spec: dict[str, Any] | str, **flags: bool) -> Any:
    """The answer; a pipeline whose spec names no project is one of the lab's."""
    if isinstance(spec, dict) and spec["pipeline"] is not None:
        spec = spec | {"pipeline": {"project": {"name": lab.project}} | spec["pipeline"]}
    text = spec if isinstance(spec, str) else json.dumps(spec)
    answer = lab.pps.create_pipeline_v2(create_pipeline_request_json=text, **flags)
    return json.loads(answer.effective_create_pipeline_request_json)


def repos(lab: Any, name: str) -> list[str]:
    return [
        info.repo.type for info in lab.pfs.list_repo(type="", projects=[lab.owner]) if info.repo.name == name
    ]


class TestCreate:
    def test_the_answer_is_the_spec_with_all_defaults(self, lab: Any) -> None:
        repo, name = lab.repo(), lab.name("pipe")
        assert create(lab, spec(name, repo, datum_tries=2)) == {
            "pipeline": {"project": {"name": lab.project}, "name": name},
            "input": {"pfs": {"repo": repo, "glob": "/*"}},
            "transform": {"cmd": ["true"], "image": "ubuntu:20.04"},
            "outputBranch": "master",
            "datumTries": "2",
            "reprocessSpec": "until_success",
            "resourceRequests": REQUESTS,
            "sidecarResourceRequests": REQUESTS,
        }

    def test_what_is_kept_of_it(self, lab: Any) -> None:
        repo, name = lab.repo(), lab.name("pipe")
        key = {"name": name, "project": {"name": lab.project}}
        text = json.dumps(spec(name, repo, description="<x>", pipeline=key), indent=3)
        create(lab, text)
        info = lab.pipeline_info(name)
        assert info.user_spec_json == text
        effective = json.loads(info.effective_spec_json)
        assert effective["pipeline"] == key
        assert "\\u003cx\\u003e" in info.effective_spec_json
        assert list(effective) == sorted(effective)
        assert (info.version, info.stopped, info.details.description) == (1, False, "<x>")
        assert info.details.input.pfs.branch == "master"
        assert info.spec_commit.branch.name == "master"

    def test_it_makes_three_repos_and_a_job(self, lab: Any) -> None:
        name = lab.pipeline(lab.repo(a="1"), "true")
        assert repos(lab, name) == ["meta", "spec", "user"]
        (job,) = lab.jobs(name)
        assert lab.commit_info(name, job.job.id).origin.kind == pfs.OriginKind.AUTO

    def test_a_missing_branch_of_the_input_is_made(self, lab: Any) -> None:
        repo = lab.repo()
        name = lab.pipeline({"pfs": {"repo": repo, "branch": "new", "glob": "/"}}, "true")
        assert lab.counts(name) == "SUCCESS t0"
        assert lab.pfs.branch_exists(pfs.Branch.from_uri(f"{lab.uri(repo)}@new"))

    def test_another_output_branch(self, lab: Any) -> None:
        name = lab.pipeline(lab.repo(a="1"), "cp /pfs/*/a /pfs/out/", output_branch="results")
        assert lab.counts(name) == "SUCCESS p1 t1"
        assert lab.files(name, "results") == {"/a": "1"}

    def test_the_older_call(self, lab: Any) -> None:
        repo, name = lab.repo(a="1"), lab.name("pipe")
        lab.pps.create_pipeline(
            pipeline=lab.key(name),
            input=pps.Input(pfs=pps.PfsInput(project=lab.project, repo=repo, glob="/*")),
            transform=pps.Transform(cmd=["sh"], stdin=["cp /pfs/*/a /pfs/out/"]),
        )
        assert lab.counts(name) == "SUCCESS p1 t1"
        assert lab.files(name) == {"/a": "1"}
        assert json.loads(lab.pipeline_info(name).user_spec_json)["transform"]["cmd"] == ["sh"]

    def test_a_dry_run_answers_the_same_and_does_nothing(self, lab: Any) -> None:
        repo, name = lab.repo(), lab.name("pipe")
        dry = create(lab, spec(name, repo), dry_run=True)
        assert not lab.pps.pipeline_exists(lab.key(name))
        assert repos(lab, name) == []
        assert create(lab, spec(name, repo)) == dry

    def test_a_dry_run_needs_no_input_repo_and_minds_no_pipeline(self, lab: Any) -> None:
        name = lab.pipeline(lab.repo(), "true")
        create(lab, spec(name, "none"), dry_run=True)
        answer = create(lab, spec(name, "none"), dry_run=True, update=True, reprocess=True)
        assert (answer["update"], answer["reprocess"]) == (True, True)
        assert lab.pipeline_info(name).version == 1

    def test_a_gpu(self, lab: Any) -> None:
        limits = {"gpu": {"type": "nvidia.com/gpu", "number": 1}}
        answer = create(lab, spec(lab.name("pipe"), lab.repo(), resource_limits=limits))
        assert answer["resourceLimits"] == {"gpu": {"type": "nvidia.com/gpu", "number": "1"}}
        assert answer["resourceRequests"]["disk"] == "1Gi"

    @pytest.mark.parametrize(
        ("changes", "code", "text"),
        [
            ({"input": {"pfs": {"repo": "none", "glob": "/"}}}, NOT_FOUND, "^repo {project}/none not found$"),
            (
                {"input": {"pfs": {"project": "none", "repo": "x", "glob": "/"}}},
                NOT_FOUND,
                "^repo none/x not found$",
            ),
            ({"input": {"pfs": {"repo": "none"}}}, UNKNOWN, "input must specify a glob"),
            ({"input": {}}, UNKNOWN, "no input set"),
            ({"bogus": 1}, INVALID, r'proto: \(line 1:\d+\): unknown field "bogus"'),
            ({"pipeline": {"name": "a b"}}, UNKNOWN, "only alphanumeric"),
            ({"pipeline": {"name": "-a"}}, UNKNOWN, "start with an alphanumeric"),
            ({"pipeline": {"name": "n" * 52}}, UNKNOWN, "is 1 characters longer than the 51 max"),
            ({"pipeline": {"name": "a", "project": {"name": "none"}}}, INVALID, "project"),
            ({"pipeline": None}, UNKNOWN, "^request.Pipeline cannot be nil$"),
            ({"standby": True}, INVALID, 'unknown field "standby"'),
            ({"resource_limits": {"gpu": 1}}, INVALID, "unexpected token 1"),
            ({"transform": {"secrets": [{"name": "no"}]}}, UNKNOWN, "missing Kubernetes secret no"),
            ({"output_branch": "a b"}, UNKNOWN, "could not create/update output branch"),
            ({"datum_timeout": "1m"}, INVALID, "google.protobuf.Duration"),
        ],
    )
    def test_what_is_refused_creates_nothing(
        self, lab: Any, refused: Any, changes: dict[str, Any], code: grpc.StatusCode, text: str
    ) -> None:
        before = [str(info.repo) for info in lab.pfs.list_repo(type="", projects=[lab.owner])]
        name = lab.name("pipe")
        with refused(code, text.replace("{project}", lab.project)):
            create(lab, spec(name, "none", **changes))
        assert [str(info.repo) for info in lab.pfs.list_repo(type="", projects=[lab.owner])] == before

    @pytest.mark.parametrize("text", ["", "no json", "[]"])
    def test_what_is_no_object(self, lab: Any, refused: Any, text: str) -> None:
        with refused(INVALID, "could not make effective spec"):
            create(lab, text)

    def test_an_existing_pipeline_or_repo(self, lab: Any, refused: Any) -> None:
        repo = lab.repo()
        name = lab.pipeline(repo, "true")
        with refused(grpc.StatusCode.ALREADY_EXISTS, f'^pipeline "{lab.uri(name)}" already exists$'):
            create(lab, spec(name, repo))
        text = f'pipeline "{repo}" cannot be created because a repo with the same name already exists'
        with refused(UNKNOWN, text):
            create(lab, spec(repo, name))

    def test_an_input_that_would_lead_out_of_pfs(self, lab: Any, refused: Any) -> None:
        node = {"pfs": {"repo": lab.repo(a="1"), "name": "../../x", "glob": "/*"}}
        with refused(grpc.StatusCode.UNIMPLEMENTED, r"\.\./\.\./x"):
            create(lab, spec(lab.name("pipe"), input=node))


class TestUpdate:
    def test_of_what_is_not_there_creates_it(self, lab: Any) -> None:
        repo, name = lab.repo(), lab.name("pipe")
        create(lab, spec(name, repo), update=True)
        assert lab.pipeline_info(name).version == 1

    def test_the_flag_inside_of_the_spec_is_ignored(self, lab: Any, refused: Any) -> None:
        repo = lab.repo()
        name = lab.pipeline(repo, "true")
        with refused(grpc.StatusCode.ALREADY_EXISTS, "already exists"):
            create(lab, spec(name, repo, update=True))

    def test_reprocess_changes_the_salt(self, lab: Any) -> None:
        repo = lab.repo()
        name = lab.pipeline(repo, "true")
        salts = [lab.pipeline_info(name).details.salt]
        for flags in ({}, {"reprocess": True}):
            create(lab, spec(name, repo), update=True, **flags)
            salts.append(lab.pipeline_info(name).details.salt)
        assert salts[0] == salts[1] != salts[2]

    def test_what_is_refused_leaves_the_old_version(self, lab: Any, refused: Any) -> None:
        name = lab.pipeline(lab.repo(a="1"), "true")
        lab.job(name)
        with refused(NOT_FOUND, f"repo {lab.uri('none')} not found"):
            create(lab, spec(name, "none"), update=True)
        assert (lab.pipeline_info(name).version, lab.counts(name)) == (1, "SUCCESS p1 t1")


class TestList:
    def test_the_newest_created_comes_first(self, lab: Any) -> None:
        repo = lab.repo()
        names = [lab.pipeline(repo, "true") for _ in range(3)]
        lab.pipeline(repo, "true", name=names[0], update=True)
        listed = [info.pipeline.name for info in lab.pps.list_pipeline(projects=[lab.owner])]
        assert [name for name in listed if name in names] == names[::-1]

    def test_history(self, lab: Any) -> None:
        repo = lab.repo()
        name = lab.pipeline(repo, "true")
        for _ in range(2):
            lab.pipeline(repo, "true", name=name, update=True)

        def versions(history: int) -> list[int]:
            found = lab.pps.list_pipeline(pipeline=lab.key(name), history=history)
            return [info.version for info in found]

        assert [versions(history) for history in (0, 1, -1)] == [[3], [3, 2], [3, 2, 1]]

    def test_of_a_project(self, lab: Any, new_project: Any) -> None:
        name = lab.pipeline(lab.repo(), "true")
        found = [list(lab.pps.list_pipeline(projects=[owner])) for owner in (lab.owner, new_project())]
        assert [[info.pipeline.name for info in infos] for infos in found] == [[name], []]

    def test_inspecting_without_details(self, lab: Any) -> None:
        name = lab.pipeline(lab.repo(), "true")
        info = lab.pps.inspect_pipeline(pipeline=lab.key(name))
        assert info.user_spec_json
        assert info.effective_spec_json
        assert not info.details.transform.cmd

    def test_the_state_of_the_last_job(self, lab: Any) -> None:
        name = lab.pipeline(lab.repo(a="1"), "exit 1", datum_tries=1)
        lab.job(name)
        assert lab.pipeline_info(name).last_job_state == pps.JobState.JOB_FAILURE

    def test_missing(self, lab: Any, refused: Any) -> None:
        with refused(NOT_FOUND, f'^pipeline "{lab.uri("none")}" not found$'):
            lab.pipeline_info("none")

    def test_one_that_scales_itself_stands_by(self, lab: Any, settled: Any) -> None:
        name = lab.pipeline(lab.repo(a="1"), "true", autoscaling=True)
        lab.job(name)
        assert settled(name, "STANDBY").details.workers_available == 0


class TestDelete:
    def test_its_repos_go(self, lab: Any) -> None:
        name = lab.pipeline(lab.repo(a="1"), "true")
        lab.pps.delete_pipeline(pipeline=lab.key(name))
        assert repos(lab, name) == []
        assert not lab.pps.pipeline_exists(lab.key(name))

    def test_keep_repo_keeps_its_files_and_its_name(self, lab: Any, refused: Any) -> None:
        repo = lab.repo(a="1")
        name = lab.pipeline(repo, "cp /pfs/*/a /pfs/out/")
        lab.job(name)
        lab.pps.delete_pipeline(pipeline=lab.key(name), keep_repo=True)
        assert repos(lab, name) == ["user"]
        assert lab.files(name) == {"/a": "1"}
        branch = lab.pfs.inspect_branch(branch=pfs.Branch.from_uri(f"{lab.uri(name)}@master"))
        assert branch.provenance == []
        with refused(UNKNOWN, "a repo with the same name already exists"):
            create(lab, spec(name, repo))
        lab.pfs.delete_repo(repo=pfs.Repo.from_uri(lab.uri(name)))
        create(lab, spec(name, repo))

    def test_one_that_others_read_needs_force(self, lab: Any, refused: Any) -> None:
        upper = lab.pipeline(lab.repo(a="1"), "true")
        lower = lab.pipeline(upper, "true")
        lab.job(lower)
        with refused(UNKNOWN, "cannot be deleted because it's in the direct provenance"):
            lab.pps.delete_pipeline(pipeline=lab.key(upper))
        assert repos(lab, upper) == ["meta", "spec", "user"]
        lab.pps.delete_pipeline(pipeline=lab.key(upper), force=True)
        assert repos(lab, upper) == []
        assert lab.pps.pipeline_exists(lab.key(lower))

    def test_missing(self, lab: Any, refused: Any) -> None:
        none = lab.key("none")
        lab.pps.delete_pipeline(pipeline=none)
        lab.pps.stop_pipeline(pipeline=none)
        for call in (lab.pps.delete_pipeline, lab.pps.stop_pipeline):
            with refused(NOT_FOUND, f'pipeline "{lab.uri("none")}" not found'):
                call(pipeline=none, must_exist=True)
        with refused(NOT_FOUND, f'pipeline "{lab.uri("none")}" not found'):
            lab.pps.start_pipeline(pipeline=none)

    def test_all_of_a_project(self, lab: Any) -> None:
        upper = lab.pipeline(lab.repo(), "true")
        lower = lab.pipeline(upper, "true")
        answer = lab.pps.delete_pipelines(projects=[lab.owner])
        assert [pipeline.name for pipeline in answer.pipelines] == [lower, upper]
        assert list(lab.pps.list_pipeline(projects=[lab.owner])) == []

    def test_the_repo_of_a_pipeline_cannot_go_alone(self, lab: Any, refused: Any) -> None:
        name = lab.pipeline(lab.repo(), "true")
        for force in (False, True):
            with refused(UNKNOWN, "associated with a pipeline - delete the pipeline instead"):
                lab.pfs.delete_repo(repo=pfs.Repo.from_uri(lab.uri(name)), force=force)


class TestProjectDefaults:
    def test_they_are_kept_as_given(self, lab: Any) -> None:
        text = '{ "createPipelineRequest": {"datum_tries": 7} }'
        lab.pps.set_project_defaults(project=lab.owner, project_defaults_json=text)
        assert lab.pps.get_project_defaults(project=lab.owner).project_defaults_json == text
        assert lab.pfs.inspect_project_v2(project=lab.owner).defaults_json == text

    def test_new_pipelines_use_them_and_null_takes_one_out(self, lab: Any) -> None:
        text = '{"createPipelineRequest": {"datum_tries": 7, "resourceRequests": {"cpu": 2}}}'
        lab.pps.set_project_defaults(project=lab.owner, project_defaults_json=text)
        answer = create(lab, spec("one", lab.repo(), resource_requests={"memory": None}))
        assert answer["datumTries"] == "7"
        assert answer["resourceRequests"] == {"cpu": 2, "disk": "1Gi"}

    @pytest.mark.parametrize("text", ["", "{", '{"bogus": 1}', '{"createPipelineRequest": {"bogus": 1}}'])
    def test_what_is_refused(self, lab: Any, refused: Any, text: str) -> None:
        with refused(INVALID, "invalid project defaults JSON"):
            lab.pps.set_project_defaults(project=lab.owner, project_defaults_json=text)

    def test_of_a_project_that_is_not_there(self, lab: Any, refused: Any) -> None:
        with refused(NOT_FOUND, "contract-missing"):
            lab.pps.get_project_defaults(project=pfs.Project(name="contract-missing"))


class TestClusterDefaults:
    @pytest.mark.parametrize("text", ["", "{", '{"bogus": 1}', '{"createPipelineRequest": {"bogus": 1}}'])
    def test_what_is_refused(self, lab: Any, refused: Any, text: str) -> None:
        with refused(INVALID, "invalid cluster defaults JSON"):
            lab.pps.set_cluster_defaults(cluster_defaults_json=text)

    @pytest.mark.cluster_wide
    def test_setting_them_replaces_all(self, lab: Any) -> None:
        before = lab.pps.get_cluster_defaults().cluster_defaults_json
        assert json.loads(before)["createPipelineRequest"]["resourceRequests"] == REQUESTS
        try:
            lab.pps.set_cluster_defaults(cluster_defaults_json="{}")
            assert "resourceRequests" not in create(lab, spec("x", "none"), dry_run=True)
        finally:
            lab.pps.set_cluster_defaults(cluster_defaults_json=before)

# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_pipeline with many pipelines: one transaction, few calls, all or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab
from .pipelines import lab_with_data, run, spec, verbs

TIMEOUT = 60
COPY = "cp /pfs/[dp]*/* /pfs/out/"
ANEW = "for file in /pfs/data/*; do cp $file /pfs/out/new-$(basename $file); done"


@pytest.fixture
def data(lab: Lab) -> Lab:
    return lab_with_data(lab)


def chain(length: int, script: str = COPY, **fields: Any) -> list[dict[str, Any]]:
    """Each reads the one before it, the first the repo data; the last comes first."""
    repos = ["data", *(f"p{n}" for n in range(length))]
    return [spec(f"p{n}", repos[n], script, **fields) for n in reversed(range(length))]


def calls(lab: Lab) -> list[str]:
    lines = lab.journal.read_text().splitlines() if lab.journal.exists() else []
    return [json.loads(line)["method"].rsplit("/", 1)[1] for line in lines]


def test_many_and_their_repos_are_one_transaction(lab: Lab) -> None:
    specs = [*chain(6), spec("both", "more", input={"cross": [pfs_input("more"), pfs_input("p5")]})]
    made = run(lab, pipelines=specs, create_repos=True)
    names = [*("more", "data"), *(f"p{n}" for n in range(6)), "both"]
    assert sorted(verbs(made)) == sorted(("create", f"default/{name}") for name in names)
    assert [name for _verb, name in verbs(made)[2:]] == [f"default/{name}" for name in names[2:]]
    assert lab.mutations() == ["BatchTransaction"]
    assert made["diff"]["after"]["repo default/data"]["name"] == "data"
    assert not run(lab, pipelines=specs, create_repos=True)["changed"]
    assert not run(lab, pipelines=specs)["changed"]
    ids = {
        info.head.id
        for name in names[2:]
        for info in lab.client.pfs.list_branch(repo=pfs.Repo.from_uri(name))
    }
    assert len(ids) == 1


def pfs_input(repo: str) -> dict[str, Any]:
    return {"pfs": {"repo": repo, "glob": "/*"}}


def test_what_is_unchanged_costs_the_same_calls_for_few_and_for_many(data: Lab) -> None:
    numbers = []
    for length in (2, 12):
        run(data, pipelines=chain(length))
        before = calls(data)
        assert not data.run("pipeline", pipelines=chain(length))["changed"]
        numbers.append(len(calls(data)) - len(before))
    assert numbers == [4, 4]


@pytest.mark.parametrize(
    "bad", [{"output_branch": "a b"}, {"transform": {"cmd": ["sh"], "secrets": [{"name": "no"}]}}]
)
def test_when_one_is_refused_nothing_is_made(lab: Lab, bad: dict[str, Any]) -> None:
    specs = [*chain(4), spec("bad", "p3", **bad)]
    refused = lab.run("pipeline", pipelines=specs, create_repos=True)
    assert "pipelines[4]: pipeline default/bad: " in refused["msg"]
    assert not refused.get("changed")
    assert list(lab.client.pps.list_pipeline()) == []
    assert list(lab.client.pfs.list_repo(type="")) == []


def test_an_order_that_one_transaction_would_get_wrong(data: Lab) -> None:
    """The new one reads what an updated one makes anew: in one transaction it would never see that."""
    waiting = {"wait": True, "wait_timeout": TIMEOUT}
    run(data, pipelines=chain(2), **waiting)
    specs = [*chain(2, script=ANEW)[1:], chain(2)[0], spec("last", "p1", COPY)]
    made = run(data, pipelines=specs, reprocess=True, **waiting)
    assert verbs(made) == [("update", "default/p0"), ("create", "default/last")]
    assert data.mutations()[-2:] == ["CreatePipelineV2", "CreatePipelineV2"]
    assert sorted(data.files("last")) == ["/new-a", "/new-b"]


def test_updates_and_new_ones_that_are_apart_are_one_transaction(data: Lab) -> None:
    run(data, pipelines=chain(2))
    before = data.mutations()
    specs = [*chain(2, script=ANEW), spec("other")]
    assert len(run(data, pipelines=specs, reprocess=True)["actions"]) == 3
    assert data.mutations()[len(before) :] == ["BatchTransaction"]


def test_what_is_stored_is_the_same_as_of_one_alone(data: Lab) -> None:
    fields: dict[str, Any] = {
        "resource_limits": {"cpu": 0.01, "gpu": {"type": "nvidia.com/gpu", "number": "1"}},
        "datum_timeout": "300.5s",
        "transform": {"cmd": ["true"], "accept_return_code": ["3", 4], "env": {"A_B": "1", "a_b": "2"}},
        "tolerations": [
            {"key": "k", "operator": "EXISTS", "effect": "NO_EXECUTE", "toleration_seconds": "5"}
        ],
        "parallelism_spec": {"constant": "2"},
        "metadata": {"labels": {"some_key": "x"}},
    }
    run(data, pipelines=[spec("a", **fields), spec("b", **fields)])
    run(data, pipeline=spec("c", **fields))
    infos = {info.pipeline.name: info for info in data.client.pps.list_pipeline()}
    one, alone = infos["a"], infos["c"]
    assert one.effective_spec_json.replace('"a"', '"c"') == alone.effective_spec_json
    assert one.user_spec_json.replace('"a"', '"c"') == alone.user_spec_json
    assert one.details.transform == alone.details.transform
    assert one.details.tolerations == alone.details.tolerations


@pytest.mark.parametrize("fault", [{"code": "UNAVAILABLE"}, {"lose_answer": True}])
def test_no_answer_once(data: Lab, fault: dict[str, Any]) -> None:
    data.server.faults.add({"method": "BatchTransaction", "times": 1, **fault})
    made = data.run("pipeline", pipelines=chain(2))
    assert verbs(made) == [("create", "default/p0"), ("create", "default/p1")]
    assert [pipeline["version"] for pipeline in made["pipelines"]] == [1, 1]


def test_no_answer_at_all(data: Lab) -> None:
    data.server.faults.add({"method": "BatchTransaction", "code": "UNAVAILABLE", "text": "gone"})
    failed = data.run("pipeline", pipelines=chain(2))
    assert "cannot create 2 repos and pipelines: pachd at " in failed["msg"]
    assert not failed["changed"]


def test_keep_repo(data: Lab) -> None:
    run(data, pipelines=chain(2), wait=True, wait_timeout=TIMEOUT)
    gone = run(data, name="p1", state="absent", keep_repo=True)
    assert verbs(gone) == [("delete", "default/p1")]
    assert not run(data, name="p1", state="absent", keep_repo=True)["changed"]
    assert sorted(data.files("p1")) == ["/a", "/b"]
    assert "a repo of this name is in the way" in run(data, pipelines=chain(2))["msg"]
    run(data, name="p0", state="absent")
    assert "p0" not in [info.repo.name for info in data.client.pfs.list_repo(type="user")]


def test_new_code_without_reprocess_is_a_warning(data: Lab) -> None:
    run(data, pipeline=spec(script="true"))
    text = "pipeline default/p: its code has changed (transform.stdin), and results of datums that were"
    for check in (True, False):
        changed = data.run("pipeline", check=check, pipeline=spec(script="false"))
        assert [text in warning for warning in changed["warnings"]] == [True]
    assert data.run("pipeline", pipeline=spec(script="false"))["warnings"] == []
    assert data.run("pipeline", pipeline=spec(script="false", description="d"))["warnings"] == []
    assert data.run("pipeline", pipeline=spec(script="true"), reprocess=True)["warnings"] == []
    every = spec(script="false", reprocess_spec="every_job")
    assert data.run("pipeline", pipeline=every)["warnings"] == []


def test_missing_secret(data: Lab) -> None:
    options: dict[str, Any] = {
        "pipeline": spec(transform={"cmd": ["true"], "secrets": [{"name": "s", "mount_path": "/s"}]})
    }
    text = "pipeline: pipeline default/p: secret s does not exist"
    assert data.run("pipeline", check=True, **options)["warnings"] == [f"{text} yet"]
    assert data.run("pipeline", **options)["msg"] == f"{text}; create it first"
    data.client.pps.create_secret(name="s", data={"k": "x"})
    assert run(data, **options)["changed"]


def test_a_repo_for_a_project_that_is_missing(lab: Lab) -> None:
    options: dict[str, Any] = {
        "pipeline": spec(input={"pfs": {"project": "soon", "repo": "data", "glob": "/"}}),
        "create_repos": True,
    }
    text = "input repo soon/data: project soon does not exist"
    assert lab.run("pipeline", check=True, **options)["warnings"] == [f"{text} yet"]
    assert lab.run("pipeline", **options)["msg"] == f"{text}; create it first"


def test_a_circle_with_one_that_is_there_is_named(data: Lab) -> None:
    run(data, pipelines=chain(2))
    result = run(data, pipeline=spec("p0", "p1"))
    assert "in a circle: default/p1 reads default/p0 reads default/p1" in result["msg"]


def test_defaults_that_changed_are_seen(data: Lab) -> None:
    """What is compared without a dry run each is what a dry run would give."""
    specs = chain(3)
    run(data, pipelines=specs)
    defaults = {"createPipelineRequest": {"datumTries": 5}}
    data.client.pps.set_cluster_defaults(cluster_defaults_json=json.dumps(defaults))
    assert len(run(data, pipelines=specs)["actions"]) == 3
    assert not run(data, pipelines=specs)["changed"]
    zero = chain(3, datum_tries=0)
    assert len(run(data, pipelines=zero)["actions"]) == 3
    assert not run(data, pipelines=chain(3, datum_tries=None))["changed"]
    assert len(run(data, pipelines=specs)["actions"]) == 3

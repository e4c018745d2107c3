# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines that read each other's output: one id for all that comes of a commit, and what failures do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pachyderm_sdk.api import pfs, pps

PASS_ON = "cp /pfs/in/* /pfs/out/"


def reads(repo: str, name: str = "in") -> dict[str, Any]:
    return {"pfs": {"name": name, "repo": repo, "glob": "/*"}}


@dataclass
class Chain:
    repo: str
    first: str
    second: str
    last: str

    @property
    def pipelines(self) -> list[str]:
        return [self.first, self.second, self.last]


@pytest.fixture
def chain(lab: Any) -> Chain:
    """data -> first -> second -> last, all done; last reads first as well."""
    repo = lab.repo(a="1")
    first = lab.pipeline(reads(repo), PASS_ON)
    second = lab.pipeline(reads(first), "[ ! -e /pfs/in/bad ]", "e=$?", PASS_ON, "exit $e", datum_tries=1)
    node = {"cross": [reads(first, "one"), reads(second, "two")]}
    last = lab.pipeline(node, "cat /pfs/one/* /pfs/two/* > /pfs/out/$PACH_DATUM_ID")
    assert lab.counts(last) == "SUCCESS p1 t1"
    return Chain(repo, first, second, last)


def test_one_commit_is_one_id_everywhere(lab: Any, chain: Chain) -> None:
    commit = lab.put(chain.repo, {"b": "2"})
    assert [lab.counts(p, commit) for p in chain.pipelines] == [
        "SUCCESS p1 s1 t2",
        "SUCCESS p1 s1 t2",
        "SUCCESS p3 s1 t4",
    ]
    assert {lab.commit_info(p).commit.id for p in (chain.repo, *chain.pipelines)} == {commit}
    infos = lab.pfs.inspect_commit_set(commit_set=pfs.CommitSet(id=commit))
    names = [info.commit.repo.name for info in infos if info.commit.id == commit]
    assert sorted(set(names), key=names.index) == [chain.repo, *chain.pipelines]


def test_a_job_set_is_the_jobs_of_a_commit(lab: Any, chain: Chain) -> None:
    commit = lab.put(chain.repo, {"b": "2"})
    infos = list(lab.pps.inspect_job_set(job_set=pps.JobSet(id=commit), wait=True))
    assert [info.job.pipeline.name for info in infos] == chain.pipelines
    assert {pps.JobState(info.state).name for info in infos} == {"JOB_SUCCESS"}
    sets = lab.pps.list_job_set()
    (found,) = [each for each in sets if each.job_set.id == commit]
    assert [info.job.pipeline.name for info in found.jobs] == chain.pipelines


def test_waiting_for_a_commit_set_is_waiting_for_its_jobs(lab: Any, chain: Chain) -> None:
    commit = lab.put(chain.repo, {"b": "2"})
    lab.pfs.wait_commit_set(commit_set=pfs.CommitSet(id=commit))
    assert {lab.state(p, commit) for p in chain.pipelines} == {"SUCCESS"}


def test_below_a_failure_nothing_can_run(lab: Any, chain: Chain) -> None:
    before = lab.files(chain.last)
    commit = lab.put(chain.repo, {"bad": "x"})
    assert lab.counts(chain.second, commit) == "FAILURE f1 t2"
    assert lab.counts(chain.last, commit) == "UNRUNNABLE t0"
    # By the name of the input, as pachd has it.
    reason = "unrunnable because the following upstream pipelines failed: two"
    assert lab.job(chain.last, commit).reason == reason
    assert lab.commit_info(chain.last).error == reason
    assert lab.files(chain.last) == before


def test_it_heals_with_the_next_commit(lab: Any, chain: Chain) -> None:
    lab.put(chain.repo, {"bad": "x"})
    commit = lab.put(chain.repo, delete="/bad")
    assert [lab.counts(p, commit) for p in chain.pipelines] == [
        "SUCCESS s1 t1",
        "SUCCESS s1 t1",
        "SUCCESS s1 t1",
    ]


def test_an_update_upstream_makes_jobs_downstream(lab: Any, chain: Chain) -> None:
    lab.pipeline(reads(chain.repo), "echo new > /pfs/out/a", name=chain.first, update=True, reprocess=True)
    ids = {lab.job(pipeline).job.id for pipeline in chain.pipelines}
    assert len(ids) == 1
    assert lab.files(chain.second) == {"/a": "new\n"}


def test_many_pipelines_at_once(lab: Any) -> None:
    """More jobs than run at the same time, half of them below the others."""
    repo = lab.repo(a="1")
    upper = [lab.pipeline(reads(repo), PASS_ON) for _ in range(10)]
    lower = [lab.pipeline(reads(name), PASS_ON) for name in upper]
    commit = lab.put(repo, {"b": "2"})
    assert {lab.counts(name, commit) for name in upper + lower} == {"SUCCESS p1 s1 t2"}

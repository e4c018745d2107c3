# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron inputs: the repo of ticks, when they come, RunCron, and crons among other inputs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pfs, pps


def cron(spec: str = "@never", **fields: Any) -> dict[str, Any]:
    return {"cron": {"name": "tick", "spec": spec, **fields}}


def ticks(lab: Any, pipeline: str) -> list[str]:
    """The paths in the repo of ticks."""
    return list(lab.files(f"{pipeline}_tick"))


def run(lab: Any, pipeline: str) -> None:
    lab.pps.run_cron(pipeline=lab.key(pipeline))


def next_second(eventually: Any) -> None:
    """Files are named by the second."""
    now = datetime.now(UTC).replace(microsecond=0)
    eventually(lambda: datetime.now(UTC) >= now + timedelta(seconds=1))


class TestRepo:
    def test_it_is_called_like_the_pipeline_and_the_input(self, lab: Any) -> None:
        pipeline = lab.pipeline(cron(), "true")
        repo = lab.pfs.inspect_repo(repo=pfs.Repo.from_uri(lab.uri(f"{pipeline}_tick")))
        assert repo.repo.type == "user"

    def test_the_first_job_has_no_datums(self, lab: Any) -> None:
        pipeline = lab.pipeline(cron(), "true")
        assert lab.counts(pipeline) == "SUCCESS t0"
        assert ticks(lab, pipeline) == []

    def test_a_dry_run_makes_none(self, lab: Any) -> None:
        name = lab.name("pipe")
        lab.create(lab.spec(name, cron(), "true"), dry_run=True)
        assert not lab.pfs.repo_exists(pfs.Repo.from_uri(lab.uri(f"{name}_tick")))

    @pytest.mark.parametrize("keep_repo", [False, True])
    def test_it_goes_with_the_pipeline(self, lab: Any, keep_repo: bool) -> None:
        pipeline = lab.pipeline(cron(), "true")
        lab.job(pipeline)
        lab.pps.delete_pipeline(pipeline=lab.key(pipeline), keep_repo=keep_repo)
        assert not lab.pfs.repo_exists(pfs.Repo.from_uri(lab.uri(f"{pipeline}_tick")))

    def test_an_update_keeps_its_ticks(self, lab: Any) -> None:
        pipeline = lab.pipeline(cron(), "true")
        run(lab, pipeline)
        lab.job(pipeline)
        before = ticks(lab, pipeline)
        lab.pipeline(cron(), "false", name=pipeline, update=True)
        assert lab.counts(pipeline) == "SUCCESS s1 t1"
        assert ticks(lab, pipeline) == before

    def test_a_repo_of_ones_own_name(self, lab: Any) -> None:
        own = lab.name("ticks")
        pipeline = lab.pipeline(cron(repo=own), "true")
        run(lab, pipeline)
        assert len(lab.files(own)) == 1


class TestRunCron:
    def test_it_adds_an_empty_file_named_by_the_time(self, lab: Any) -> None:
        pipeline = lab.pipeline(cron(), 'basename "$tick" > /pfs/out/when')
        earliest = datetime.now(UTC).replace(microsecond=0)
        run(lab, pipeline)
        ((path, content),) = lab.files(f"{pipeline}_tick").items()
        assert content == ""
        assert path == f"{datetime.fromisoformat(path[1:]):/%Y-%m-%dT%H:%M:%SZ}"
        assert earliest <= datetime.fromisoformat(path[1:]) <= datetime.now(UTC)
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.read(pipeline, "/when").strip() == path[1:]

    @pytest.mark.parametrize(("overwrite", "left"), [(False, 2), (True, 1)])
    def test_earlier_ticks_stay_unless_overwritten(
        self, lab: Any, eventually: Any, overwrite: bool, left: int
    ) -> None:
        pipeline = lab.pipeline(cron(overwrite=overwrite), "true")
        run(lab, pipeline)
        (first,) = ticks(lab, pipeline)
        next_second(eventually)
        run(lab, pipeline)
        found = ticks(lab, pipeline)
        assert (len(found), first in found) == (left, not overwrite)
        assert lab.job(pipeline).data_total == left

    def test_every_cron_of_the_pipeline_ticks(self, lab: Any) -> None:
        names = ("one", "two")
        both = {"cross": [{"cron": {"name": name, "spec": "@never"}} for name in names]}
        pipeline = lab.pipeline(both, "true")
        run(lab, pipeline)
        assert [len(lab.files(f"{pipeline}_{name}")) for name in names] == [1, 1]
        assert lab.counts(pipeline) == "SUCCESS p1 t1"

    def test_of_a_pipeline_without_one(self, lab: Any, refused: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "true")
        with refused(StatusCode.UNKNOWN, "pipeline doesn't have a cron input"):
            run(lab, pipeline)

    def test_of_a_missing_pipeline(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.NOT_FOUND, "none"):
            run(lab, "none")


class TestTicks:
    def test_they_come_by_themselves_and_each_makes_a_job(self, lab: Any, eventually: Any) -> None:
        pipeline = lab.pipeline(cron("@every 1s"), "true")
        eventually(lambda: len(ticks(lab, pipeline)) >= 2)
        lab.pps.stop_pipeline(pipeline=lab.key(pipeline))
        assert len(lab.jobs(pipeline)) >= 1 + len(ticks(lab, pipeline))

    def test_those_since_the_start_are_made_up_for(self, lab: Any, eventually: Any) -> None:
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=210)
        pipeline = lab.pipeline(cron("@every 1h", start=f"{start:%Y-%m-%dT%H:%M:%SZ}"), "true")
        expected = [f"{start + timedelta(hours=n):/%Y-%m-%dT%H:%M:%SZ}" for n in (1, 2, 3)]
        eventually(lambda: ticks(lab, pipeline) == expected)
        eventually(lambda: len(lab.jobs(pipeline)) == 4)
        assert lab.job(pipeline).data_total == 3

    def test_none_comes_before_its_time(self, lab: Any) -> None:
        pipeline = lab.pipeline(cron("@yearly"), "true")
        lab.job(pipeline)
        assert ticks(lab, pipeline) == []


class TestAmongOthers:
    def test_in_a_cross(self, lab: Any) -> None:
        node = {"cross": [cron(), {"pfs": {"repo": lab.repo(a="1", b="2"), "name": "d", "glob": "/*"}}]}
        pipeline = lab.pipeline(node, "ls /pfs/tick /pfs/d > /pfs/out/$(basename $d)")
        assert lab.counts(pipeline) == "SUCCESS t0"
        run(lab, pipeline)
        assert lab.counts(pipeline) == "SUCCESS p2 t2"
        assert sorted(lab.files(pipeline)) == ["/a", "/b"]
        assert "Z\n" in lab.read(pipeline, "/a")

    def test_in_a_union(self, lab: Any) -> None:
        node = {"union": [cron(), {"pfs": {"repo": lab.repo(a="1"), "name": "tick", "glob": "/*"}}]}
        pipeline = lab.pipeline(node, "true")
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        run(lab, pipeline)
        assert lab.counts(pipeline) == "SUCCESS p1 s1 t2"

    def test_new_data_makes_a_job_with_the_ticks_that_are_there(self, lab: Any) -> None:
        repo = lab.repo(a="1")
        node = {"cross": [cron(), {"pfs": {"repo": repo, "name": "d", "glob": "/*"}}]}
        pipeline = lab.pipeline(node, "true")
        run(lab, pipeline)
        lab.job(pipeline)
        lab.put(repo, {"b": "2"})
        assert lab.counts(pipeline) == "SUCCESS p1 s1 t2"

    def test_a_job_names_the_commit_of_the_ticks(self, lab: Any) -> None:
        pipeline = lab.pipeline(cron(), "true")
        run(lab, pipeline)
        job = lab.job(pipeline)
        info = lab.pps.inspect_job(job=job.job, details=True)
        assert info.details.input.cron.commit == lab.commit_info(f"{pipeline}_tick").commit.id == job.job.id

    def test_its_datums_cannot_be_listed_beforehand(self, lab: Any, refused: Any) -> None:
        node = pps.Input(cron=pps.CronInput(name="tick", spec="@daily"))
        with refused(StatusCode.UNKNOWN, "can't list datums with a cron input"):
            list(lab.pps.list_datum(input=node))


@pytest.mark.parametrize("spec", ["", "soon", "* * * *", "60 * * * *", "* * * * * *", "@every soon", "@noon"])
def test_what_is_no_schedule_is_refused(lab: Any, refused: Any, spec: str) -> None:
    with refused(StatusCode.UNKNOWN, "error parsing cron-spec"):
        lab.pipeline(cron(spec), "true")


@pytest.mark.parametrize(
    "spec", ["* * * * *", "*/5 1-3 1,15 JAN mon-FRI", "@daily", "@every 90m", "? ? ? ? ?", "@never"]
)
def test_what_is_a_schedule(lab: Any, spec: str) -> None:
    lab.create(lab.spec(lab.name("pipe"), cron(spec), "true"), dry_run=True)


def test_a_cron_needs_a_name(lab: Any, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, "input must specify a name"):
        lab.pipeline({"cron": {"spec": "@daily"}}, "true")

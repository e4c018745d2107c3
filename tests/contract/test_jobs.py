# SPDX-License-Identifier: GPL-3.0-or-later
"""Which datums a job processes and which it skips, and what that does to the output."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pfs

COPY = "cp -r /pfs/data/* /pfs/out/; echo ran $PACH_DATUM_ID"


def data(repo: str, glob: str = "/*", **fields: Any) -> dict[str, Any]:
    return {"pfs": {"name": "data", "repo": repo, "glob": glob, **fields}}


@pytest.fixture
def done(lab: Any) -> tuple[str, str]:
    """A repo of three files and a pipeline that has copied each of them."""
    repo = lab.repo(a="1", b="2", c="3")
    pipeline = lab.pipeline(data(repo), COPY)
    assert lab.counts(pipeline) == "SUCCESS p3 t3"
    return repo, pipeline


def test_an_added_file_is_the_only_datum_processed(lab: Any, done: tuple[str, str]) -> None:
    repo, pipeline = done
    commit = lab.put(repo, {"d": "4"})
    assert lab.counts(pipeline) == "SUCCESS p1 s3 t4"
    assert lab.job(pipeline).job.id == commit
    assert lab.files(pipeline) == {"/a": "1", "/b": "2", "/c": "3", "/d": "4"}


def test_a_changed_file_is_processed_again(lab: Any, done: tuple[str, str]) -> None:
    repo, pipeline = done
    lab.put(repo, {"b": "two"})
    assert lab.counts(pipeline) == "SUCCESS p1 s2 t3"
    assert lab.files(pipeline) == {"/a": "1", "/b": "two", "/c": "3"}


def test_the_output_of_a_deleted_file_goes(lab: Any, done: tuple[str, str]) -> None:
    repo, pipeline = done
    lab.put(repo, delete="/b")
    assert lab.counts(pipeline) == "SUCCESS s2 t2"
    assert lab.files(pipeline) == {"/a": "1", "/c": "3"}


@pytest.mark.parametrize("files", [{}, {"a": "1"}], ids=["empty commit", "same bytes"])
def test_a_commit_that_changes_nothing_makes_a_job_that_skips_all(
    lab: Any, done: tuple[str, str], files: dict[str, str]
) -> None:
    repo, pipeline = done
    commit = lab.put(repo, files, delete="/a" if files else "")
    assert lab.counts(pipeline, commit) == "SUCCESS s3 t3"
    assert lab.files(pipeline, commit) == {"/a": "1", "/b": "2", "/c": "3"}


def test_one_datum_of_all_files_is_processed_whole_each_time(lab: Any) -> None:
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(data(repo, "/"), "ls /pfs/data > /pfs/out/list-$(ls /pfs/data | wc -l)")
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    lab.put(repo, {"c": "3"})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.files(pipeline) == {"/list-3": "a\nb\nc\n"}


def test_only_the_files_of_the_datum_are_there(lab: Any) -> None:
    repo = lab.repo(**{"x/1": "", "x/2": "", "y/3": ""})
    pipeline = lab.pipeline(data(repo), "cd /pfs/data; find . -type f > /pfs/out/$(basename $data)")
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    assert sorted(lab.read(pipeline, "/x").split()) == ["./x/1", "./x/2"]
    assert lab.read(pipeline, "/y") == "./y/3\n"


def test_no_files_are_a_job_of_no_datums(lab: Any) -> None:
    pipeline = lab.pipeline(data(lab.repo()), COPY)
    assert lab.counts(pipeline) == "SUCCESS t0"
    assert lab.files(pipeline) == {}


def test_a_job_waits_for_its_commit_to_be_finished(lab: Any) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(data(repo), COPY)
    lab.job(pipeline)
    commit = lab.pfs.start_commit(branch=pfs.Branch.from_uri(f"{lab.uri(repo)}@master"))
    lab.pfs.put_file_from_bytes(commit=commit, path="/b", data=b"2")
    assert lab.state(pipeline, commit.id) == "CREATED"
    lab.pfs.finish_commit(commit=commit)
    assert lab.counts(pipeline, commit.id) == "SUCCESS p1 s1 t2"


class TestUpdate:
    def test_changed_code_does_not_run_on_old_datums(self, lab: Any, done: tuple[str, str]) -> None:
        repo, pipeline = done
        lab.pipeline(data(repo), "echo new > /pfs/out/$(basename $data)", name=pipeline, update=True)
        assert lab.counts(pipeline) == "SUCCESS s3 t3"
        assert lab.files(pipeline) == {"/a": "1", "/b": "2", "/c": "3"}

    def test_reprocess_runs_it_on_all(self, lab: Any, done: tuple[str, str]) -> None:
        repo, pipeline = done
        script = "echo new > /pfs/out/$(basename $data)"
        lab.pipeline(data(repo), script, name=pipeline, update=True, reprocess=True)
        assert lab.counts(pipeline) == "SUCCESS p3 t3"
        assert set(lab.files(pipeline).values()) == {"new\n"}

    def test_an_identical_update_is_a_new_version_and_job(self, lab: Any, done: tuple[str, str]) -> None:
        repo, pipeline = done
        before = lab.pipeline_info(pipeline)
        lab.pipeline(data(repo), COPY, name=pipeline, update=True)
        after = lab.pipeline_info(pipeline)
        assert (before.version, after.version) == (1, 2)
        assert before.details.salt == after.details.salt
        assert before.spec_commit.id != after.spec_commit.id
        assert lab.counts(pipeline) == "SUCCESS s3 t3"

    def test_another_glob_makes_other_datums(self, lab: Any, done: tuple[str, str]) -> None:
        repo, pipeline = done
        lab.pipeline(data(repo, "/"), "ls /pfs/data > /pfs/out/list", name=pipeline, update=True)
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.files(pipeline) == {"/list": "a\nb\nc\n"}

    def test_another_input_repo_counts_from_then_on(self, lab: Any, done: tuple[str, str]) -> None:
        old, pipeline = done
        new = lab.repo(z="26")
        lab.pipeline(data(new), COPY, name=pipeline, update=True)
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.files(pipeline) == {"/z": "26"}
        lab.put(old, {"d": "4"})
        assert len(lab.jobs(pipeline)) == 1

    def test_every_job_processes_all_when_the_spec_says_so(self, lab: Any) -> None:
        repo = lab.repo(a="1", b="2")
        pipeline = lab.pipeline(data(repo), COPY, reprocess_spec="every_job")
        lab.job(pipeline)
        lab.put(repo, {"c": "3"})
        assert lab.counts(pipeline) == "SUCCESS p3 t3"


def test_dropping_the_input_takes_the_output_back(lab: Any, done: tuple[str, str]) -> None:
    repo, pipeline = done
    commit = lab.put(repo, {"d": "4"})
    lab.job(pipeline, commit)
    lab.pfs.drop_commit_set(commit_set=pfs.CommitSet(id=commit))
    assert lab.files(pipeline) == {"/a": "1", "/b": "2", "/c": "3"}
    assert lab.counts(pipeline, commit) == "SUCCESS p1 s3 t4"
    # What only the dropped job has processed counts as not processed.
    again = lab.put(repo, {"d": "4", "e": "5"})
    assert lab.counts(pipeline, again) == "SUCCESS p2 s3 t5"
    assert lab.files(pipeline)["/d"] == "4"


def test_squashing_a_commit_keeps_what_was_processed(lab: Any, done: tuple[str, str]) -> None:
    repo, pipeline = done
    middle = lab.put(repo, {"d": "4"})
    last = lab.put(repo, {"e": "5"})
    lab.job(pipeline, last)
    lab.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=middle))
    assert sorted(lab.files(pipeline)) == ["/a", "/b", "/c", "/d", "/e"]
    assert lab.counts(pipeline, lab.put(repo)) == "SUCCESS s5 t5"

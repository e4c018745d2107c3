# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection while jobs run: what they have done so far, and what they build on, stays."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from pachd_embedded.server import Server


def changed(size: int) -> str:
    """A line of a script whose output is no content that the input has."""
    return f'for f in /pfs/data/*; do head -c {size} /dev/zero | cat "$f" - >/pfs/out/$(basename $f); done'


def data(repo: str) -> dict[str, Any]:
    return {"pfs": {"name": "data", "repo": repo, "glob": "/*"}}


def problems(server: Server) -> list[str]:
    return [str(finding) for finding in server.core.pfs.fsck.check()]


@pytest.mark.parametrize("size", [10, 200_000], ids=["in the database", "in files"])
def test_the_output_of_datums_stays_until_the_job_ends(
    server: Server, lab: Any, gate: Any, size: int
) -> None:
    repo = lab.repo(a="1", b="2")
    pipeline = lab.pipeline(data(repo), changed(size), gate.wait())
    gate.visitor().release()
    second = gate.visitor()
    server.core.pfs.storage.collect()
    second.release()
    assert lab.counts(pipeline) == "SUCCESS p2 t2"
    assert lab.files(pipeline) == {"/a": "1" + "\0" * size, "/b": "2" + "\0" * size}
    assert problems(server) == []


def test_what_a_job_builds_on_stays_although_its_commit_is_squashed(
    server: Server, lab: Any, gate: Any
) -> None:
    """The failed job between does not have the datum, so that nothing else keeps its output."""
    repo = lab.repo()
    script = ("if grep -q bad /pfs/data/*; then exit 1; fi", changed(10), gate.wait("$data"))
    pipeline = lab.pipeline(data(repo), *script)
    good = lab.put(repo, {"a": "1"})
    gate.visitor().release()
    assert lab.counts(pipeline, good) == "SUCCESS p1 t1"
    lab.put(repo, {"a": "bad"})
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    assert lab.files(pipeline) == {}
    last = lab.put(repo, {"a": "1", "c": "3"})
    held = gate.visitor()
    lab.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=good))
    server.core.pfs.storage.collect()
    held.release()
    assert lab.counts(pipeline, last) == "SUCCESS p1 s1 t2"
    assert lab.files(pipeline) == {"/a": "1" + "\0" * 10, "/c": "3" + "\0" * 10}
    server.core.pfs.storage.collect()
    assert problems(server) == []


def test_a_squashed_commit_is_built_on_no_more(server: Server, lab: Any) -> None:
    """Its output may be gone by then: the next job does again what it did."""
    repo = lab.repo()
    pipeline = lab.pipeline(data(repo), "test ! -e /pfs/data/bad || exit 1", changed(10))
    good = lab.put(repo, {"a": "1"})
    assert lab.counts(pipeline, good) == "SUCCESS p1 t1"
    assert lab.counts(pipeline, lab.put(repo, {"bad": "2"})) == "FAILURE f1 t2"
    lab.pfs.squash_commit_set(commit_set=pfs.CommitSet(id=good))
    server.core.pfs.storage.collect()
    last = lab.put(repo, {"c": "3"}, delete="/bad")
    assert lab.counts(pipeline, last) == "SUCCESS p2 t2"
    assert problems(server) == []


def test_a_deleted_pipeline_leaves_nothing(server: Server, lab: Any) -> None:
    repo = lab.repo(a="1")
    pipeline = lab.pipeline(data(repo), changed(300_000), "echo a line of a job that is gone")
    lab.counts(pipeline)
    server.core.pfs.storage.collect()
    lab.pps.delete_pipeline(pipeline=lab.key(pipeline))
    assert server.core.pfs.storage.collect().freed_bytes > 300_000
    row = server.core.db.row("SELECT count(*) FROM log WHERE message = 'a line of a job that is gone'")
    assert row is not None
    assert row[0] == 0
    assert problems(server) == []

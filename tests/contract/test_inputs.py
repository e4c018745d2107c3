# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross, union, join and group in running jobs, and the variables that tell code what it was given."""

from __future__ import annotations

from typing import Any

import pytest
from pachyderm_sdk.api import pfs

LEFT = ("a-1", "a-2", "b-1")
RIGHT = ("a-9", "b-7", "c-1")
LIST = "cd /pfs; find * -type f | grep -v ^out/ | sort | tr '\\n' ' ' > /pfs/out/$PACH_DATUM_ID"


@pytest.fixture
def sides(lab: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two inputs, l and r, that capture what stands before the dash."""
    left, right = (lab.repo(**dict.fromkeys(names, "x")) for names in (LEFT, RIGHT))
    shared = {"glob": "/(*)-*", "join_on": "$1", "group_by": "$1"}
    return {"repo": left, "name": "l", **shared}, {"repo": right, "name": "r", **shared}


def datums(lab: Any, node: dict[str, Any], script: str = LIST) -> list[str]:
    """What the code of each datum saw."""
    pipeline = lab.pipeline(node, script, parallelism_spec={"constant": 2})
    count = lab.job(pipeline).data_total
    seen = sorted(content.strip() for content in lab.files(pipeline).values())
    assert lab.counts(pipeline) == f"SUCCESS p{count} t{count}"
    assert len(seen) == count
    return seen


def test_cross(lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    seen = datums(lab, {"cross": [{"pfs": side} for side in sides]})
    assert seen == sorted(f"l/{left} r/{right}" for left in LEFT for right in RIGHT)


def test_union(lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    seen = datums(lab, {"union": [{"pfs": side | {"name": "u"}} for side in sides]})
    assert seen == sorted(f"u/{name}" for name in LEFT + RIGHT)


def test_join(lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    seen = datums(lab, {"join": [{"pfs": side} for side in sides]})
    assert seen == ["l/a-1 r/a-9", "l/a-2 r/a-9", "l/b-1 r/b-7"]


def test_outer_join(lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    left, right = sides
    seen = datums(lab, {"join": [{"pfs": left}, {"pfs": right | {"outer_join": True}}]})
    assert seen == ["l/a-1 r/a-9", "l/a-2 r/a-9", "l/b-1 r/b-7", "r/c-1"]


def test_group(lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    seen = datums(lab, {"group": [{"pfs": side} for side in sides]})
    assert seen == ["l/a-1 l/a-2 r/a-9", "l/b-1 r/b-7", "r/c-1"]


def test_a_union_in_a_cross(lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]) -> None:
    other = {"pfs": {"repo": lab.repo(z="x"), "name": "z", "glob": "/"}}
    union = {"union": [{"pfs": side | {"name": "u"}} for side in sides]}
    assert len(datums(lab, {"cross": [union, other]})) == 6


def test_one_changed_file_is_one_row_of_a_cross(
    lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    left, right = sides
    pipeline = lab.pipeline({"cross": [{"pfs": left}, {"pfs": right}]}, "true")
    assert lab.counts(pipeline) == "SUCCESS p9 t9"
    lab.put(left["repo"], {"a-1": "changed"})
    assert lab.counts(pipeline) == "SUCCESS p3 s6 t9"


def test_two_branches_of_a_repo(lab: Any) -> None:
    repo = lab.repo(a="x")
    lab.put(repo, {"b": "x"}, branch="other")
    inputs = [
        {"pfs": {"repo": repo, "name": name, "branch": name, "glob": "/"}} for name in ("master", "other")
    ]
    assert datums(lab, {"cross": inputs}) == ["master/a other/b"]


def test_a_branch_that_points_at_an_older_commit_of_another(lab: Any) -> None:
    repo = lab.repo(a="x")
    head = lab.commit_info(repo).commit
    lab.pfs.create_branch(branch=pfs.Branch.from_uri(f"{lab.uri(repo)}@stable"), head=head)
    lab.put(repo, {"b": "x"})
    inputs = [{"pfs": {"repo": repo, "name": b, "branch": b, "glob": "/"}} for b in ("master", "stable")]
    assert datums(lab, {"cross": inputs}) == ["master/a master/b stable/a"]


def test_empty_files_have_no_content(lab: Any) -> None:
    repo = lab.repo(a="12345")
    node = {"pfs": {"repo": repo, "name": "d", "glob": "/*", "empty_files": True}}
    assert datums(lab, node, "stat -c %s /pfs/d/a > /pfs/out/size") == ["0"]


def test_a_deep_glob(lab: Any) -> None:
    repo = lab.repo(**{"x/1/a": "", "x/2/b": "", "y/1/c": ""})
    node = {"pfs": {"repo": repo, "name": "d", "glob": "/*/1"}}
    assert datums(lab, node) == ["d/x/1/a", "d/y/1/c"]


class TestVariables:
    def test_what_code_is_told(self, lab: Any) -> None:
        repo = lab.repo(**{"dir/file": "x"})
        commit = lab.commit_info(repo).commit.id
        node = {"pfs": {"repo": repo, "name": "data", "glob": "/dir/*"}}
        pipeline = lab.pipeline(node, "env", transform={"env": {"MINE": "yes"}})
        job = lab.job(pipeline)
        datum = next(lab.pps.list_datum(job=job.job)).datum.id
        seen = dict(line.split("=", 1) for line in lab.logs(pipeline) if "=" in line)
        expected = {
            "data": "/pfs/data/dir/file",
            "data_COMMIT": commit,
            "MINE": "yes",
            "PACH_DATUM_ID": datum,
            "PACH_IN_WORKER": "true",
            "PACH_JOB_ID": job.job.id,
            "PACH_OUTPUT_COMMIT_ID": job.job.id,
            "PPS_PIPELINE_NAME": pipeline,
            "PPS_PROJECT_NAME": lab.project,
            "PPS_SPEC_COMMIT": lab.pipeline_info(pipeline).spec_commit.id,
        }
        if not seen["data"].startswith("/pfs/"):  # without isolation /pfs is somewhere else
            expected["data"] = seen["data"]
            assert seen["data"].endswith("/pfs/data/dir/file")
        assert {name: seen.get(name) for name in expected} == expected

    def test_the_commit_is_the_one_that_changed_the_file(self, lab: Any) -> None:
        repo = lab.repo(a="x")
        first = lab.commit_info(repo).commit.id
        second = lab.put(repo, {"b": "x"})
        node = {"pfs": {"repo": repo, "name": "d", "glob": "/*"}}
        seen = datums(lab, node, "echo $(basename $d) $d_COMMIT > /pfs/out/$(basename $d)")
        assert seen == [f"a {first}", f"b {second}"]

    def test_what_was_joined_or_grouped_on(
        self, lab: Any, sides: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        script = "echo $PACH_DATUM_l_JOIN_ON $PACH_DATUM_r_GROUP_BY > /pfs/out/$PACH_DATUM_ID"
        left, right = sides
        assert datums(lab, {"join": [{"pfs": left}, {"pfs": right}]}, script) == ["a a", "a a", "b b"]

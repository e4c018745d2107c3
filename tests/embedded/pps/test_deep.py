# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories in directories, deeper than Python's stack, and deeper than this machine takes in one path."""

from __future__ import annotations

from typing import Any

import pytest

# Below each of them a path of two characters more; the system takes paths of up to 4,096.
DEEP = "/d" * 1_500
TOO_DEEP = "/d" * 2_100


@pytest.mark.parametrize("glob", ["/", "/d"])
def test_a_datum_has_its_files_however_deep_they_are(lab: Any, glob: str) -> None:
    repo = lab.repo(**{f"{DEEP}/f": "x"})
    pipeline = lab.pipeline(repo, f"cd /pfs/{repo}", "cp -r . /pfs/out", glob=glob)
    assert lab.counts(pipeline) == "SUCCESS p1 t1", lab.logs(pipeline, user=False)
    assert lab.files(pipeline) == {f"{DEEP}/f": "x"}


def test_a_file_deeper_than_a_path_may_be_is_an_error_of_its_datum(lab: Any) -> None:
    repo = lab.repo(**{f"{TOO_DEEP}/f": "x", "short": "y"})
    pipeline = lab.pipeline(repo, "cp /pfs/*/short /pfs/out/", datum_tries=1)
    assert lab.counts(pipeline) == "FAILURE p1 f1 t2"
    (line,) = lab.logs(pipeline, user=False)
    assert line.endswith(f"/pfs/{repo}{TOO_DEEP}/f cannot be written: File name too long")


def test_output_deeper_than_a_path_may_be_is_an_error_of_its_datum(lab: Any, scratch: Any) -> None:
    repo = lab.repo(a="x")
    deep = "import os; [(os.mkdir('d'), os.chdir('d')) for _ in range(2100)]; open('f', 'w')"
    pipeline = lab.pipeline(repo, "cd /pfs/out", f'python -c "{deep}"', datum_tries=1)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    (line,) = lab.logs(pipeline, user=False)
    assert line.endswith(" cannot be stored: File name too long")
    assert list(scratch.iterdir()) == []

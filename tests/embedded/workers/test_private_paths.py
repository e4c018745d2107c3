# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker without isolation: PFS paths in a private directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import private_paths
from pachd_embedded.workers.process import ProcessWorker


@pytest.fixture
def private(datums: Any) -> Any:
    datums.worker = ProcessWorker({}, private_paths=True)
    return datums


def test_paths_in_cmd_stdin_and_variables(private: Any) -> None:
    datum = private.run(
        "sh",
        "-c",
        "cat /pfs/in/a $in - > /pfs/out/b",
        stdin=("/pfs/in",),
        inputs={"in/a": "x"},
        env={"in": "/pfs/in/a"},
    )
    assert datum.error == ""
    assert datum.output("b") == f"xx{datum.scratch}/pfs/in\n"


def test_paths_of_the_image(datums: Any, image: Any) -> None:
    files = {"code/gpu.py": "print('gpu')", "usr/local/bin/only-here": "#!/bin/sh\necho tool"}
    datums.worker = ProcessWorker({"lab": image(files)}, private_paths=True)
    datum = datums.script(
        "python /code/gpu.py", "/usr/local/bin/only-here", "/bin/echo /usr/bin", image="lab"
    )
    assert (datum.error, datum.lines) == ("", ["gpu", "tool", "/usr/bin"])


def test_other_places_are_the_datums_own(private: Any) -> None:
    datum = private.script("echo $HOME; pwd; echo x > $HOME/x", "mktemp")
    assert datum.error == ""
    assert datum.lines[:2] == [str(datum.scratch / "root"), str(datum.scratch)]
    assert Path(datum.lines[2]).parent == datum.scratch / "tmp"


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/pfs", "/d/pfs"),
        ("cat /pfs/in/a>/pfs/out/b", "cat /d/pfs/in/a>/d/pfs/out/b"),
        ("--out=/pfs/out", "--out=/d/pfs/out"),
        ('"/pfs/a b":/pfs', '"/d/pfs/a b":/d/pfs'),
        ("/pfs-old /pfs.txt /pfs2", "/pfs-old /pfs.txt /pfs2"),
        ("/data/pfs ./pfs $HOME/pfs ${X}/pfs $(pwd)/pfs", "/data/pfs ./pfs $HOME/pfs ${X}/pfs $(pwd)/pfs"),
    ],
)
def test_what_is_a_path_of_pfs(text: str, rewritten: str) -> None:
    assert private_paths.rewriter(Path("/d/pfs"), None)(text) == rewritten


def test_a_directory_that_a_shell_would_take_apart_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^/my data/pfs: private PFS paths are written into commands"):
        private_paths.rewriter(Path("/my data/pfs"), None)


def test_check_has_nothing_to_refuse() -> None:
    assert ProcessWorker({}, private_paths=True).check() == ""

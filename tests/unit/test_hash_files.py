# SPDX-License-Identifier: GPL-3.0-or-later
"""Many files hashed by several processes give what one after the other would; and what goes wrong there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _hash_files, _hash_worker
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._file_hash import hash_bytes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._hash_cache import stamp_of
from ansible_collections.gpulab.pachyderm.plugins.module_utils._local_tree import LocalFile


@pytest.fixture(autouse=True)
def _processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes also for little work, on a machine with two cores."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_hash_files, "_WORTH_FILES", 2)
    monkeypatch.setattr(_hash_files, "_BATCH_FILES", 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})


def files(root: Path, contents: dict[str, bytes]) -> list[LocalFile]:
    root.mkdir()
    made = []
    for name, content in contents.items():
        path = os.fsencode(root) + b"/" + os.fsencode(name)
        with open(path, "wb") as stream:
            stream.write(content)
        made.append(LocalFile(f"/{name}", os.fsdecode(path), len(content), stamp_of(os.stat(path))))
    return made


def test_processes_agree_with_one_after_the_other(tmp_path: Path) -> None:
    contents = {f"{n}": os.urandom(n * 100) for n in range(10)} | {
        "big": os.urandom(1_500_000),
        "\udcff\n": b"x",
    }
    made = files(tmp_path / "tree", contents)
    hashes = _hash_files.hash_tree(str(tmp_path / "tree"), made, trust_cache=True)
    assert hashes == {file.source: hash_bytes(contents[file.path[1:]]) for file in made}


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    made = files(tmp_path / "tree", {str(n): b"x" for n in range(5)})
    Path(made[3].source).unlink()
    with pytest.raises(PachydermError, match=r"/tree/3: cannot read it: No such file or directory$"):
        _hash_files.hash_tree(str(tmp_path / "tree"), made, trust_cache=True)


def test_a_process_that_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = files(tmp_path / "tree", {str(n): b"x" for n in range(5)})
    monkeypatch.setattr(_hash_worker, "__name__", "no_such_module")
    with pytest.raises(PachydermError, match=r"a process that hashes files ended: .*no_such_module"):
        _hash_files.hash_tree(str(tmp_path / "tree"), made, trust_cache=True)


def test_what_changes_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ansible_collections.gpulab.pachyderm.plugins.module_utils._hash_cache.SETTLE_SECONDS", -60
    )
    root = tmp_path / "tree"
    same, other = files(root, {"same": b"s", "other": b"o"})
    Path(other.source).write_bytes(b"x")
    _hash_files.hash_tree(str(root), [same, other], trust_cache=True)
    monkeypatch.setattr(_hash_files, "_hash_all", lambda left, _take: asked.extend(left))
    asked: list[LocalFile] = []
    _hash_files.hash_tree(str(root), [same, other], trust_cache=True)
    assert asked == [other]
    asked.clear()
    _hash_files.hash_tree(str(root), [same, other], trust_cache=False)
    assert asked == [same, other]

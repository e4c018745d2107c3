# SPDX-License-Identifier: GPL-3.0-or-later
"""A note that a tree was found in a commit holds for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _sync_seen
from ansible_collections.gpulab.pachyderm.plugins.module_utils._local_tree import LocalFile
from ansible_collections.gpulab.pachyderm.plugins.module_utils._patterns import Patterns
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync_head import Head
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync_plan import Sync

SYNC = Sync("/tree", "default", "data", "master", "/")
HEAD = Head("c" * 32, 1.5)
TREE = [LocalFile("/a", "/tree/a", 1), LocalFile("/b", "/tree/b", 1)]
HASHES = {"/tree/a": b"a" * 32, "/tree/b": b"b" * 32}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "gpulab.pachyderm" / "seen"


def hash_of(file: LocalFile) -> bytes:
    return HASHES[file.source]


def seen(
    cluster: str = "one", sync: Sync = SYNC, head: Head = HEAD, tree: Sequence[LocalFile] = TREE
) -> _sync_seen.Seen:
    return _sync_seen.Seen(cluster, sync, head, tree)


@pytest.fixture
def kept(home: Path) -> Path:
    """The file of the note that TREE was found in HEAD."""
    assert not seen().same_sizes
    seen().keep(hash_of)
    (file,) = home.iterdir()
    return file


def test_what_is_kept_is_found_again(kept: Path) -> None:
    assert seen().same_sizes
    assert seen().same(hash_of)
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "other",
    [
        {"cluster": "two"},
        *(
            {"sync": replace(SYNC, **change)}
            for change in (
                {"src": "/other"},
                {"project": "vision"},
                {"repo": "more"},
                {"branch": "dev"},
                {"dest": "/d"},
                {"delete": True},
                {"patterns": Patterns.parse(["*"], None, "")},
                {"patterns": Patterns.parse(None, ["x"], "")},
            )
        ),
        {"head": replace(HEAD, commit="d" * 32)},
        {"head": replace(HEAD, finished=2.5)},
        {"tree": TREE[:1]},
        {"tree": [*TREE, LocalFile("/c", "/tree/c", 0)]},
        {"tree": [TREE[0], replace(TREE[1], path="/c")]},
        {"tree": [TREE[0], replace(TREE[1], size=2)]},
    ],
)
def test_it_holds_for_nothing_else_also_in_its_place(kept: Path, other: dict[str, Any]) -> None:
    assert not seen(**other).same_sizes
    note = kept.read_bytes()
    seen(**other).keep(lambda _file: b"x" * 32)
    for file in kept.parent.iterdir():
        file.write_bytes(note)
    assert not seen(**other).same_sizes


@pytest.mark.parametrize("name", HASHES)
def test_each_hash_counts(kept: Path, name: str) -> None:
    assert not seen().same(lambda file: b"x" * 32 if file.source == name else HASHES[file.source])


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_a_damaged_one_counts_for_nothing(kept: Path, place: int) -> None:
    note = bytearray(kept.read_bytes())
    note[place] ^= 1
    kept.write_bytes(note)
    assert not seen().same(hash_of)
    kept.write_bytes(note[:place])
    assert not seen().same(hash_of)
    seen().keep(hash_of)
    assert seen().same(hash_of)


def test_one_that_another_user_could_have_written_counts_for_nothing(kept: Path) -> None:
    kept.chmod(0o620)
    assert not seen().same_sizes

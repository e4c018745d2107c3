# SPDX-License-Identifier: GPL-3.0-or-later
"""What a local tree gives, and what stands in the way."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _local_tree
from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._local_tree import LocalFile, scan
from ansible_collections.gpulab.pachyderm.plugins.module_utils._patterns import ALL


@pytest.mark.parametrize(
    ("dest", "paths"), [("/", ["/a", "/s/b"]), ("/d", ["/d/a", "/d/s/b"]), ("/d/", ["/d/a", "/d/s/b"])]
)
def test_directory(tmp_path: Path, dest: str, paths: list[str]) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "b").write_bytes(b"bb")
    (tmp_path / "a").touch()
    files = scan(str(tmp_path), dest, ALL)
    assert [file.path for file in files] == paths
    assert [file.size for file in files] == [0, 2]


def test_source_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").touch()
    (tmp_path / "real" / "l").symlink_to("a")
    (tmp_path / "to").symlink_to("real")
    (tmp_path / "file").symlink_to("real/a")
    assert [file.path for file in scan(str(tmp_path / "to"), "/", ALL)] == ["/a", "/l"]
    assert [file.path for file in scan(str(tmp_path / "file"), "/", ALL)] == ["/file"]


def test_all_problems_are_counted(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"l{number}").symlink_to("nothing")
    with pytest.raises(PachydermError) as error:
        scan(str(tmp_path), "/", ALL)
    assert "; and 2 more" in str(error.value)


def test_frames_are_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_local_tree, "FRAME_BYTES", 4)
    for content, frames in [(b"", [b""]), (b"abcd", [b"abcd"]), (b"abcdefghi", [b"abcd", b"efgh", b"i"])]:
        (tmp_path / "f").write_bytes(content)
        assert list(LocalFile("/f", str(tmp_path / "f"), len(content)).frames()) == frames


def test_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_local_tree, "FRAME_BYTES", 4)
    path = tmp_path / "f"
    path.write_bytes(b"abcdefgh")
    frames = LocalFile("/f", str(path), 8).frames()
    assert next(frames) == b"abcd"
    os.utime(path, ns=(0, 0))
    path.write_bytes(b"ABCDEFGH")
    with pytest.raises(PachydermError, match=r"f: was changed while it was read"):
        list(frames)


def test_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(PachydermError, match=r"f: cannot read it: No such file"):
        list(LocalFile("/f", str(tmp_path / "f"), 1).frames())


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A directory of this user or, where root runs the tests, of one who may not read everything."""
    # Not tmp_path: only its owner may pass the directories above it.
    directory = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(directory, 65534, 65534)
        os.seteuid(65534)
    try:
        yield directory
    finally:
        if is_root:
            os.seteuid(0)
        for path in directory.iterdir():
            path.chmod(0o700)
        shutil.rmtree(directory)


def test_unreadable(ordinary_user: Path) -> None:
    (ordinary_user / "file").touch()
    (ordinary_user / "directory").mkdir()
    for path in ordinary_user.iterdir():
        path.chmod(0)
    with pytest.raises(PachydermError) as error:
        scan(str(ordinary_user), "/", ALL)
    assert f"{ordinary_user}/file: cannot read it: Permission denied" in str(error.value)
    assert f"{ordinary_user}/directory: cannot list it: Permission denied" in str(error.value)

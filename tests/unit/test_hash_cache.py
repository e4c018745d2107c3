# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of files, and that nothing wrong is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._hash_cache import (
    SETTLE_SECONDS,
    HashCache,
    stamp_of,
)


def stamp(*change: tuple[int, int]) -> bytes:
    """Of a file of long ago, but with these numbers at these places of it."""
    parts = [1, 2, 3, 10**9, 10**9]
    for place, number in change:
        parts[place] = number
    status = dict(zip(("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"), parts, strict=True))
    return stamp_of(cast(os.stat_result, SimpleNamespace(**status)))


OLD = stamp()
DIGEST = bytes(range(32))
LATER = 100.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "gpulab.pachyderm"


@pytest.fixture
def kept(home: Path) -> Path:
    """The file of a cache that knows OLD."""
    HashCache("/tree").replace([(OLD, DIGEST)], LATER)
    (file,) = home.iterdir()
    return file


def test_what_is_kept_is_found_again_for_that_tree_only(kept: Path) -> None:
    assert HashCache("/tree").get(OLD) == DIGEST
    assert HashCache("/other").get(OLD) is None
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", range(5))
def test_each_part_of_the_stamp_counts(kept: Path, place: int) -> None:
    assert HashCache("/tree").get(stamp((place, 10**9 + 1))) is None


def test_what_is_not_declared_any_more_is_forgotten(kept: Path) -> None:
    HashCache("/tree").replace([], LATER)
    assert HashCache("/tree").get(OLD) is None
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("place", [3, 4])
@pytest.mark.parametrize("seconds", [LATER, LATER - SETTLE_SECONDS, LATER + 1000])
def test_what_was_changed_just_now_is_not_kept(place: int, seconds: float) -> None:
    fresh = stamp((place, int(seconds * 1e9)))
    HashCache("/tree").replace([(fresh, DIGEST)], LATER)
    assert HashCache("/tree").get(fresh) is None


def test_mtime_that_is_put_back_does_not_help(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"a")
    before = file.stat()
    file.write_bytes(b"b")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert stamp_of(file.stat()) != stamp_of(before)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "spoil",
    [cut, flip, link, Path.unlink, lambda file: file.write_bytes(b""), lambda file: file.chmod(0o620)],
)
def test_a_damaged_one_counts_as_empty_and_is_written_anew(
    kept: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(kept)
    cache = HashCache("/tree")
    assert cache.get(OLD) is None
    cache.replace([(OLD, DIGEST)], LATER)
    assert HashCache("/tree").get(OLD) == DIGEST


def test_without_a_place_for_it_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    HashCache("/tree").replace([(OLD, DIGEST)], LATER)
    assert HashCache("/tree").get(OLD) is None

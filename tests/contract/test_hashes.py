# SPDX-License-Identifier: GPL-3.0-or-later
"""FileInfo.hash: what a real pachd 2.12 gave for the same content."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

MB = 1_000_000


def blake(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def content(size: int) -> bytes:
    return hashlib.shake_256(f"{size}:".encode()).digest(size)


def put_in_frames(data: Any, path: str, whole: bytes, frame: int = 10 * MB) -> None:
    data.modify([(path, whole[at : at + frame]) for at in range(0, len(whole), frame)])


@pytest.mark.parametrize("size", [0, 1, 10, MB - 1])
def test_a_small_file_is_one_chunk(data: Any, size: int) -> None:
    data.put({"/a": content(size)})
    assert data.inspect("/a").hash == (blake(blake(content(size))) if size else blake(b""))


@pytest.mark.parametrize(
    ("size", "start"),
    [
        (MB, "80c46cbc4ed5049a"),
        (5 * MB, "f9af39aa0f75784f"),
        (25 * MB, "ecc81d49d2dfa706"),
    ],
)
def test_golden_hashes_of_large_files(data: Any, size: int, start: str) -> None:
    put_in_frames(data, "/a", content(size))
    assert data.inspect("/a").hash.hex().startswith(start)


def test_a_file_that_ends_where_a_chunk_does_has_an_empty_chunk_more(data: Any) -> None:
    zeros = bytes(20 * MB)
    put_in_frames(data, "/a", zeros)
    assert data.inspect("/a").hash == blake(blake(zeros) + blake(b""))
    assert data.read("/a") == zeros


@pytest.mark.parametrize("frame", [64 * 1024 + 1, 3 * MB])
def test_the_framing_does_not_matter(data: Any, frame: int) -> None:
    data.put({"/before": b"1"})
    put_in_frames(data, "/a", content(5 * MB), frame)
    assert data.inspect("/a").hash.hex().startswith("f9af39aa0f75784f")


def test_nor_do_other_files_or_copies_or_later_commits(data: Any) -> None:
    data.start()
    data.modify([("/0", b"1"), ("/a", content(5 * MB)), ("/z", b"1")])
    before = data.inspect("/a").hash
    data.finish()
    for n in range(3):
        data.put({f"/later{n}": b"1"})
    assert data.inspect("/a").hash == before
    data.api.copy_file(commit=data.commit(), src=data.file("/a"), dst="/d/copy")
    assert data.inspect("/d/copy").hash == before
    assert before.hex().startswith("f9af39aa0f75784f")


@pytest.mark.parametrize(
    "sizes",
    [
        [700_000, 200_000],
        [5 * MB, 900_000],
        [5 * MB, 5 * MB],
        [MB, 10],
    ],
)
def test_pieces_that_pachd_puts_together_as_one_file(data: Any, sizes: list[int]) -> None:
    whole = content(sum(sizes))
    data.put({"/whole": whole})
    for at, size in zip([0, sizes[0]], sizes, strict=True):
        data.put({"/pieces": whole[at : at + size]})
    assert data.inspect("/pieces").hash == data.inspect("/whole").hash


def test_a_directory_is_hashed_over_its_direct_children(data: Any) -> None:
    data.put({"/d/b": b"2", "/d/a-x": b"1", "/d/a/f": b"3", "/top": b"4"})
    of_file = {text: blake(blake(text)) for text in (b"1", b"2", b"3", b"4")}
    of_a = blake(of_file[b"3"])
    of_d = blake(of_file[b"1"] + of_a + of_file[b"2"])
    assert data.inspect("/d/a").hash == of_a
    assert data.inspect("/d").hash == of_d
    assert data.inspect("/").hash == blake(of_d + of_file[b"4"])


def test_every_way_to_read_shows_the_same_hash(data: Any) -> None:
    data.put({"/d/a": b"1", "/d/e/b": b"2", "/c": b"3"})
    for path in ("/d", "/c"):
        expected = data.inspect(path).hash
        listed = {info.file.path.rstrip("/"): info.hash for info in data.api.list_file(file=data.file("/"))}
        (globbed,) = data.api.glob_file(commit=data.commit(), pattern=path)
        walked = next(data.api.walk_file(file=data.file(path)))
        assert listed[path] == globbed.hash == walked.hash == expected

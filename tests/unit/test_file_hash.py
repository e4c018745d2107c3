# SPDX-License-Identifier: GPL-3.0-or-later
"""File hashes and chunks are those that pachd 2.12 makes. The golden hashes were read from a real one."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _buzhash_table, _file_hash
from ansible_collections.gpulab.pachyderm.plugins.module_utils._file_hash import (
    Chunker,
    chunk_id,
    hash_bytes,
    hash_file,
    hash_of_chunks,
    split,
)
from pachd_embedded import file_hash

MIN_CHUNK = 1_000_000
MAX_CHUNK = 20_000_000

GOLDEN = [
    (1_000_000, "80c46cbc4ed5049a"),
    (5_000_000, "f9af39aa0f75784f"),
    (20_000_000, "8964bcf195c320b5"),
    (25_000_000, "ecc81d49d2dfa706"),
]

# A window after which a chunk is cut (taken from the end of a chunk of the last golden file).
CUT = bytes.fromhex(
    "dae01fe036d275dd2a442735f274a4c974b4dc5e5faccc9472e027810dccbba7"
    "e3da1909ff7b8c11392a7dd5c4b457279bb53f7bd4f2bb2a63038df890b52e9d"
)


def content(size: int) -> bytes:
    return hashlib.shake_256(b"%d:" % size).digest(size)


def with_cuts(size: int, *places: int) -> bytes:
    """Zeros, with what makes a cut just before each of `places` (bytes from the start)."""
    data = bytearray(size)
    for place in places:
        data[place - len(CUT) : place] = CUT
    return bytes(data)


def lengths(data: bytes, frames: Iterator[int] | None = None) -> list[int]:
    """The lengths of the chunks of `data` when it comes in frames of these sizes."""
    chunker, chunks, start = Chunker(), [], 0
    while start < len(data):
        size = next(frames) if frames else len(data)
        chunks += chunker.update(data[start : start + size])
        start += size
    chunks += chunker.finish()
    assert b"".join(chunks) == data
    return [len(chunk) for chunk in chunks]


@pytest.fixture(params=["numpy", "plain"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With numpy and without."""
    if request.param == "plain":
        monkeypatch.setitem(sys.modules, "numpy", None)


def blake(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


@pytest.mark.parametrize(("size", "start"), GOLDEN)
def test_golden_hashes(size: int, start: str) -> None:
    assert hash_bytes(content(size)).hex().startswith(start)


def test_the_table_is_that_of_go() -> None:
    # Few numbers decide where the golden files are cut, so all are compared.
    text = " ".join(map(str, _buzhash_table.TABLE))
    assert text.startswith("5577006791947779410 8674665223082153551 ")
    assert hashlib.sha256(text.encode()).hexdigest().startswith("f092794915055e163172cf7609ad34c2")


@pytest.mark.parametrize("size", [1, 10, 4096, MIN_CHUNK - 1])
def test_a_small_file_is_one_chunk(size: int, tmp_path: Path) -> None:
    data = content(size)
    (tmp_path / "file").write_bytes(data)
    assert hash_bytes(data) == hash_file(tmp_path / "file") == blake(blake(data))


def test_an_empty_file_has_no_chunk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    chunker = Chunker()
    assert chunker.update(b"") + chunker.finish() == []
    assert hash_bytes(b"") == hash_file(tmp_path / "file") == hash_of_chunks([]) == blake(b"")


def test_a_large_file_is_hashed_by_its_chunks(tmp_path: Path) -> None:
    data = with_cuts(3_000_000, 1_200_000)
    (tmp_path / "file").write_bytes(data)
    expected = blake(blake(data[:1_200_000]) + blake(data[1_200_000:]))
    assert hash_bytes(data) == hash_file(tmp_path / "file") == expected
    assert hash_of_chunks([chunk_id(chunk) for chunk in split(io.BytesIO(data))]) == expected


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("size", "cuts", "expected"),
    [
        (MIN_CHUNK, [], [MIN_CHUNK]),
        # The first length at which a chunk may end, and the last at which it may not.
        (1_100_000, [MIN_CHUNK], [MIN_CHUNK, 100_000]),
        (1_100_000, [MIN_CHUNK - 1], [1_100_000]),
        # The end of the file is the end of a chunk.
        (MIN_CHUNK, [MIN_CHUNK], [MIN_CHUNK, 0]),
        (1_100_000, [1_100_000], [1_100_000, 0]),
        # Lengths count from the last cut.
        (2_200_000, [1_100_000, 2_050_000], [1_100_000, 1_100_000]),
        (2_200_000, [1_100_000, 2_150_000], [1_100_000, 1_050_000, 50_000]),
        # The first of two cuts that are found together.
        (1_100_000, [1_000_100, 1_000_200], [1_000_100, 99_900]),
    ],
)
def test_cuts(size: int, cuts: list[int], expected: list[int]) -> None:
    assert lengths(with_cuts(size, *cuts)) == expected


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("place", [1_065_535, 1_065_536, 1_065_537, 1_131_071, 1_131_072])
def test_no_cut_is_missed_where_scanned_blocks_meet(place: int) -> None:
    assert lengths(with_cuts(1_200_000, place)) == [place, 1_200_000 - place]


def test_a_chunk_ends_at_the_maximum_in_any_case() -> None:
    assert lengths(bytes(MAX_CHUNK - 1)) == [MAX_CHUNK - 1]
    assert lengths(bytes(MAX_CHUNK)) == [MAX_CHUNK, 0]
    assert lengths(bytes(MAX_CHUNK + 1)) == [MAX_CHUNK, 1]
    assert lengths(bytes(2 * MAX_CHUNK + 5)) == [MAX_CHUNK, MAX_CHUNK, 5]
    zeros = blake(bytes(MAX_CHUNK))
    assert hash_bytes(bytes(MAX_CHUNK)) == blake(zeros + blake(b""))


@pytest.mark.parametrize("seed", range(4))
def test_the_framing_makes_no_difference(seed: int) -> None:
    source = random.Random(seed)
    data = source.randbytes(600_000) + with_cuts(3_000_000, *source.sample(range(64, 3_000_000, 64), 4))
    largest = source.choice([3_000, 100_000, 2_000_000])
    frames = iter(lambda: source.randint(0, largest), None)
    assert lengths(data, frames) == lengths(data)


def test_the_plain_way_equals_that_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    # 64 times the usual cuts, so that both find several in little data.
    monkeypatch.setattr(_file_hash, "_CUT_MASK", (1 << 17) - 1)
    data = random.Random(5).randbytes(4_500_000)
    with_numpy = lengths(data)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert lengths(data) == with_numpy
    assert len(with_numpy) > 3


def test_a_file_that_grows_is_rechunked_from_its_last_chunk() -> None:
    data = with_cuts(4_000_000, 1_300_000, 2_600_000, 3_900_000)
    for length in (1_000_000, 1_300_000, 2_000_000, 2_600_000, 3_950_000):
        before = list(split(io.BytesIO(data[:length])))
        again = list(split(io.BytesIO(before[-1] + data[length:])))
        assert before[:-1] + again == list(split(io.BytesIO(data)))


def test_little_more_than_a_chunk_is_held() -> None:
    chunker, taken, given = Chunker(), 0, 0
    for _ in range(50):
        taken += 1_000_000
        given += sum(len(chunk) for chunk in chunker.update(bytes(1_000_000)))
        assert taken - given < MAX_CHUNK + 1_000_000


def test_numpy_is_not_imported_for_small_files() -> None:
    code = "import sys; from pachd_embedded.file_hash import *; hash_bytes(bytes(999_999)); "
    code += "sys.exit('numpy' in sys.modules)"
    folder = Path(file_hash.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


def test_modules_and_server_have_one_rule() -> None:
    assert Path(file_hash.__file__).samefile(_file_hash.__file__)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hash_file(tmp_path / "nope")

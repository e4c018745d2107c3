# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of a container: taken out of an archive that nobody can trust."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers import output_tar
from pachd_embedded.workers.engine import Engine, EngineError
from pachd_embedded.workers.worker import BadTaskError
from tests.embedded.workers.pretended import Pretended


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"") -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0
    return info, content


def top(name: str) -> Any:
    return member(name, tarfile.DIRTYPE)


@pytest.mark.parametrize("name", ["out", "/", "."])
def test_output_as_each_engine_names_it(tmp_path: Path, name: str) -> None:
    """docker names the directory, podman the root, and either a dot where it was asked so."""
    below = "" if name == "/" else f"{name}/"
    files = [member(f"{below}a", content=b"1"), top(f"{below}d"), member(f"{below}d/b", content=b"2")]
    output_tar.unpack(archive(top(name), *files), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == {
        "a": b"1",
        "b": b"2",
    }


def test_links_stay_links_and_hard_links_files(tmp_path: Path) -> None:
    links = [member("out/l", tarfile.SYMTYPE, "/pfs/in/a"), member("out/h", tarfile.LNKTYPE, "out/a")]
    output_tar.unpack(archive(top("out"), member("out/a", content=b"1"), *links), tmp_path)
    assert str((tmp_path / "l").readlink()) == "/pfs/in/a"
    assert (tmp_path / "h").read_bytes() == b"1"


@pytest.mark.parametrize(
    "hostile",
    [
        [member("out/../../x")],
        [member("/x")],
        [member("out/l", tarfile.SYMTYPE, "/"), member("out/l/x")],
        [member("out/l", tarfile.SYMTYPE, ".."), member("out/h", tarfile.LNKTYPE, "out/l/secret")],
    ],
)
def test_an_archive_cannot_leave_the_output(tmp_path: Path, hostile: list[Any]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").write_text("x")
    with pytest.raises(BadTaskError, match="leads out of /pfs/out"):
        output_tar.unpack(archive(top("out"), *hostile), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "secret"]


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_what_is_neither_a_file_nor_a_directory(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(BadTaskError, match=r"^/pfs/out/x is neither a file nor a directory$"):
        output_tar.unpack(archive(top("out"), member("out/x", kind)), tmp_path)


def test_an_output_that_is_no_directory_any_more(tmp_path: Path) -> None:
    with pytest.raises(BadTaskError, match="no longer the directory"):
        output_tar.unpack(archive(member("out", tarfile.SYMTYPE, "/etc")), tmp_path)


@pytest.mark.parametrize("stream", [b"", b"Error: no such container\n" * 100])
def test_what_is_no_archive(docker: Pretended, tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "stream").write_bytes(stream)
    docker.says(f"[ $1 != cp ] || {{ cat {tmp_path}/stream; echo 'Error: gone' >&2; exit 1; }}")
    with pytest.raises(EngineError, match="gone"):
        output_tar.fetch(Engine(str(docker.program)), "x:/pfs/out", tmp_path)

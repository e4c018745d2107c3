# SPDX-License-Identifier: GPL-3.0-or-later
"""pachyderm_fetch: what comes to local files, and what is left alone or refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk.api import pfs

from .conftest import Lab


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def filled(lab: Lab) -> Lab:
    lab.run("repo", name="data")
    for path, content in {"/a.txt": b"a\n", "/sub/deep/b": bytes(range(256)), "/sub/empty": b""}.items():
        lab.put(path, content)
    return lab


def fetch(lab: Lab, out: Path, **options: Any) -> dict[str, Any]:
    """A fetch after its check-mode twin, which must write nothing and predict the same."""
    options = {"repo": "data", "dest": str(out), **options}
    before = tree(out)
    predicted = lab.run("fetch", check=True, **options)
    assert tree(out) == before
    seen = lab.mutations()
    result = lab.run("fetch", **options)
    assert lab.mutations() == seen
    assert predicted == result
    return result


def tree(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def counted(**kinds: int) -> dict[str, int]:
    return {"added": 0, "updated": 0, "modes": 0, "deleted": 0, "unchanged": 0} | kinds


def test_files_are_fetched_once(filled: Lab, out: Path) -> None:
    first = fetch(filled, out)
    assert first["changed"]
    assert tree(out) == {"a.txt": b"a\n", "sub/deep/b": bytes(range(256)), "sub/empty": b""}
    assert first["fetches"][0]["files"] == counted(added=3)
    assert first["fetches"][0]["bytes_downloaded"] == 258
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = fetch(filled, out)
    assert not again["changed"]
    assert again["fetches"][0]["files"] == counted(unchanged=3)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


def test_only_what_differs_is_fetched_and_nothing_is_deleted(filled: Lab, out: Path) -> None:
    fetch(filled, out)
    (out / "a.txt").write_bytes(b"b\n")  # as long as it was
    (out / "a.txt").chmod(0o640)
    (out / "mine").write_bytes(b"mine")
    result = fetch(filled, out)
    assert result["fetches"][0]["paths"]["updated"] == ["/a.txt"]
    assert result["fetches"][0]["bytes_downloaded"] == 2
    assert result["diff"]["before"] != result["diff"]["after"]
    assert (out / "a.txt").read_bytes() == b"a\n"
    assert stat.S_IMODE((out / "a.txt").stat().st_mode) == 0o640
    assert (out / "mine").read_bytes() == b"mine"


def test_a_big_file_comes_in_pieces(filled: Lab, out: Path) -> None:
    content = os.urandom(1024) * 21 * 1024  # longer than one message of gRPC may be
    filled.put("/big", content)
    fetch(filled, out, glob="/big")
    assert (out / "big").read_bytes() == content
    assert not fetch(filled, out, glob="/big")["changed"]


def test_names_are_taken_as_they_are(filled: Lab, out: Path) -> None:
    filled.put("/$HOME ~ %s", b"x")
    fetch(filled, out, glob="/$*")
    assert tree(out) == {"$HOME ~ %s": b"x"}


def test_a_backslash_in_a_name_is_no_escape(filled: Lab, out: Path) -> None:
    filled.put("/d/a\\b", b"the one\n")
    filled.put("/d/axb", b"not this\n")
    fetch(filled, out, glob="/d/*")
    assert tree(out) == {"d/a\\b": b"the one\n", "d/axb": b"not this\n"}


def test_a_commit_is_fetched_in_place_of_a_branch(filled: Lab, out: Path) -> None:
    commits = list(filled.client.pfs.list_commit(repo=pfs.Repo.from_uri("data")))
    result = fetch(filled, out, commit=commits[-1].commit.id)
    assert tree(out) == {"a.txt": b"a\n"}
    assert result["fetches"][0]["commit"] == commits[-1].commit.id


def test_several_fetches_at_once(filled: Lab, out: Path) -> None:
    fetches = [
        {"glob": "/a.txt", "dest": str(out / "one")},
        {"glob": "/sub/deep/*", "dest": str(out / "two")},
    ]
    result = filled.run("fetch", repo="data", fetches=fetches)
    assert [one["files"]["added"] for one in result["fetches"]] == [1, 1]
    assert sorted(tree(out)) == ["one/a.txt", "two/sub/deep/b"]
    same = [{"glob": "/a.txt", "dest": str(out)}, {"dest": f"{out}/"}]
    message = filled.run("fetch", repo="data", fetches=same)["msg"]
    assert f"fetches[1]: {out}/a.txt is written by fetches[0] too" in message


def test_the_newest_finished_commit_is_read_while_a_job_writes(filled: Lab, out: Path) -> None:
    with filled.client.pfs.commit(branch=pfs.Branch.from_uri("data@master")) as commit:
        commit.put_file_from_bytes("/half", b"h")
        result = fetch(filled, out)
    assert sorted(tree(out)) == ["a.txt", "sub/deep/b", "sub/empty"]
    assert "is not finished yet" in result["warnings"][0]


def test_what_a_failed_job_left_is_refused(filled: Lab, out: Path) -> None:
    spec = {
        "pipeline": {"name": "p"},
        "input": {"pfs": {"repo": "data", "glob": "/"}},
        "transform": {"cmd": ["sh", "-c", "exit 3"]},
    }
    assert "JOB_FAILURE" in filled.run("pipeline", pipeline=spec, wait=True, wait_timeout=60)["msg"]
    message = fetch(filled, out, repo="p")["msg"]
    assert message.startswith("default/p@master: commit ")
    assert "has an error, so nothing is fetched: " in message


@pytest.mark.parametrize("missing", [{"repo": "none"}, {"branch": "none"}, {"project": "none"}])
def test_what_an_earlier_task_would_make_is_a_warning_in_check_mode_only(
    filled: Lab, out: Path, missing: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"repo": "data", "dest": str(out), **missing}
    predicted = filled.run("fetch", check=True, **options)
    assert not predicted["changed"]
    assert "does not exist yet; there is nothing to fetch" in predicted["warnings"][0]
    result = filled.run("fetch", **options)
    assert "does not exist" in result["msg"]
    assert "none" in result["msg"]
    assert not out.exists()


def test_a_link_that_leads_out_is_refused(filled: Lab, out: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "sub").symlink_to(elsewhere)
    message = fetch(filled, out)["msg"]
    assert f"{out}/sub is a link to {elsewhere}, outside of {out}" in message
    (out / "sub").unlink()
    (elsewhere / "victim").write_bytes(b"v")
    (out / "a.txt").symlink_to(elsewhere / "victim")
    assert f"{out}/a.txt is a link to {elsewhere}/victim, outside of {out}" in fetch(filled, out)["msg"]
    assert tree(elsewhere) == {"victim": b"v"}


def test_links_inside_of_dest_are_followed(filled: Lab, out: Path) -> None:
    (out / "real").mkdir(parents=True)
    (out / "sub").symlink_to("real")
    fetch(filled, out)
    assert (out / "real" / "deep" / "b").exists()
    assert (out / "sub").is_symlink()


def test_file_and_directory_in_each_others_place_are_named(filled: Lab, out: Path) -> None:
    (out / "a.txt").mkdir(parents=True)
    (out / "sub").write_bytes(b"")
    message = fetch(filled, out)["msg"]
    assert f"{out}/a.txt is a directory here and a file there" in message
    assert f"{out}/sub is a file here and a directory there" in message
    (out / "sub").unlink()
    assert f"{out}/a.txt is a directory" in fetch(filled, out)["msg"]
    assert tree(out) == {}


def test_dest_itself_may_not_be_a_file(filled: Lab, out: Path) -> None:
    out.write_bytes(b"")
    assert f"{out} is a file here" in fetch(filled, out)["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dest": "results"}, "dest: results: is a relative path"),
        ({"repo": "no/repo"}, 'repo: repo name "no/repo"'),
        ({"repo": None}, "repo: is required"),
        ({"commit": "master"}, "commit: master: is no commit id"),
        ({"glob": "/["}, "default/data@master: /[:"),
        ({"mode": "u+x"}, "mode: u+x: is no mode in octal digits"),
        ({"directory_mode": "99999"}, "directory_mode: 99999: is no mode in octal digits"),
        ({"delete": True, "glob": "/*"}, "delete: glob /* is not all of a directory"),
        ({"delete": True, "dest": "/"}, "delete: would empty the whole machine below /"),
        ({"fetches": [{"dest": "x"}], "dest": None}, "fetches[0].dest: x: is a relative path"),
    ],
)
def test_bad_options_are_named(filled: Lab, out: Path, options: dict[str, Any], message: str) -> None:
    given = {key: value for key, value in ({"repo": "data", "dest": str(out)} | options).items() if value}
    assert message in filled.run("fetch", **given)["msg"]
    assert not out.exists()


def test_a_glob_without_files_is_a_warning(filled: Lab, out: Path) -> None:
    result = fetch(filled, out, glob="/sub")
    assert "no file matches /sub; /sub/** takes what is in a directory" in result["warnings"][0]


def test_a_download_that_breaks_leaves_the_old_file_and_no_other(
    filled: Lab, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out.mkdir()
    (out / "a.txt").write_bytes(b"old")

    def break_off(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", break_off)
    message = filled.run("fetch", repo="data", dest=str(out))["msg"]
    assert f"{out}/a.txt: cannot write it: No space left on device" in message
    assert tree(out) == {"a.txt": b"old"}


def test_mode(filled: Lab, out: Path) -> None:
    """Set, again, changed, omitted."""
    modes = {"mode": "0640", "directory_mode": "0750"}
    assert fetch(filled, out, **modes)["fetches"][0]["files"] == counted(added=3)
    assert not fetch(filled, out, **modes)["changed"]
    paths = (out / "a.txt", out / "sub", out / "sub" / "deep")
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o640, 0o750, 0o750]
    (out / "a.txt").write_bytes(b"b\n")
    # As YAML reads 0600 without quotes.
    result = fetch(filled, out, mode=0o600, directory_mode="0700")
    assert result["fetches"][0]["files"] == counted(updated=1, modes=2)
    assert result["fetches"][0]["paths"]["modes"] == ["/sub/deep/b", "/sub/empty"]
    assert result["fetches"][0]["bytes_downloaded"] == 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o750, 0o750]
    assert not fetch(filled, out)["changed"]


def test_delete(filled: Lab, out: Path, tmp_path: Path) -> None:
    fetch(filled, out)
    (out / "old" / "er").mkdir(parents=True)
    (out / "old" / "er" / "f").write_bytes(b"f")
    (out / "sub" / "g").write_bytes(b"g")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"k")
    (out / "link").symlink_to(tmp_path / "elsewhere")
    (out / "void").mkdir()
    assert not fetch(filled, out)["changed"]
    # Only what is below the directory that is fetched goes.
    part = fetch(filled, out, glob="/sub/**", delete=True)
    assert part["fetches"][0]["paths"]["deleted"] == ["/sub/g"]
    result = fetch(filled, out, delete=True)
    assert result["fetches"][0]["files"] == counted(deleted=2, unchanged=3)
    assert result["diff"]["before"] != result["diff"]["after"]
    assert sorted(tree(out)) == ["a.txt", "sub/deep/b", "sub/empty"]
    assert (out / "void").is_dir()
    assert not (out / "old").exists()
    assert not os.path.lexists(out / "link")
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert not fetch(filled, out, delete=True)["changed"]


def test_delete_of_all_wants_to_be_asked_for(filled: Lab, out: Path) -> None:
    filled.run("repo", name="void")
    filled.put("/f", b"", repo="void")
    out.mkdir()
    (out / "mine").write_bytes(b"m")
    options = {"repo": "void", "glob": "/none/**", "delete": True}
    (out / "none").mkdir()
    (out / "none" / "x").write_bytes(b"x")
    assert "takes no file, so delete would leave none" in fetch(filled, out, **options)["msg"]
    assert sorted(tree(out)) == ["mine", "none/x"]
    assert fetch(filled, out, allow_empty=True, **options)["fetches"][0]["files"] == counted(deleted=1)
    assert sorted(tree(out)) == ["mine"]
    assert not fetch(filled, out, allow_empty=True, **options)["changed"]


def test_delete_goes_through_no_link_and_deletes_no_device(filled: Lab, out: Path) -> None:
    (out / "real").mkdir(parents=True)
    (out / "sub").symlink_to("real")
    assert f"{out}/sub is a link, which delete does not go through" in fetch(filled, out, delete=True)["msg"]
    (out / "sub").unlink()
    os.mkfifo(out / "pipe")
    assert f"delete: {out}/pipe is neither a file nor a link" in fetch(filled, out, delete=True)["msg"]
    assert tree(out) == {}


def test_many_files_come_as_one_archive(filled: Lab, out: Path) -> None:
    expected = {f"many/{number:03}": b"%d" % number for number in range(60)}
    with filled.client.pfs.commit(branch=pfs.Branch.from_uri("data@master")) as commit:
        for path, content in expected.items():
            commit.put_file_from_bytes(f"/{path}", content)
    commit.wait()
    seen = len(filled.calls())
    fetch(filled, out, glob="/many/**")
    assert tree(out) == expected
    assert "GetFile" not in filled.calls()[seen:]
    assert filled.calls()[seen:].count("GetFileTAR") == 1
    (out / "many" / "007").unlink()
    seen = len(filled.calls())
    fetch(filled, out, glob="/many/**")
    assert tree(out) == expected
    assert filled.calls()[seen:].count("GetFile") == 1


def test_delete_and_mode_of_items(filled: Lab, out: Path) -> None:
    (out / "one").mkdir(parents=True)
    (out / "one" / "old").write_bytes(b"o")
    fetches = [
        {"glob": "/**", "dest": str(out / "one")},
        {"glob": "/a.txt", "dest": str(out / "two"), "delete": False, "mode": "0600"},
    ]
    result = filled.run("fetch", repo="data", delete=True, mode="0644", fetches=fetches)
    assert [one["files"]["deleted"] for one in result["fetches"]] == [1, 0]
    assert stat.S_IMODE((out / "one" / "a.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((out / "two" / "a.txt").stat().st_mode) == 0o600

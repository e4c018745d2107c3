# SPDX-License-Identifier: GPL-3.0-or-later
"""What of /pfs/out is stored, what is refused, and what user code can leave without harm."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def run(lab: Any) -> Any:
    """Runs a script as the code of one datum with the file /pfs/data/in; the answer is the pipeline."""

    def make(*script: str, **fields: Any) -> str:
        repo = lab.repo(**{"in": "input", "dir/deep": "below"})
        node = {"pfs": {"repo": repo, "name": "data", "glob": "/"}}
        return str(lab.pipeline(node, "set -e; cd /pfs/out", *script, datum_tries=1, **fields))

    return make


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("echo x > a; mkdir -p d/e; echo y > d/e/b", {"/a": "x\n", "/d/e/b": "y\n"}),
        ("mkdir -p empty/deeper; touch nothing", {"/nothing": ""}),
        ("echo x > a; chmod 000 a; mkdir d; echo y > d/b; chmod 000 d", {"/a": "x\n", "/d/b": "y\n"}),
        ("ln -s /pfs/data/in link", {"/link": "input"}),
        ("ln -s ../data/in link", {"/link": "input"}),
        ("ln -s /pfs/data/dir link", {"/link/deep": "below"}),
        ("ln -s /pfs/data/in first; ln -s first second", {"/first": "input", "/second": "input"}),
        ("echo x > a; ln a b", {"/a": "x\n", "/b": "x\n"}),
        ("echo x > 'a b,c;d'", {"/a b,c;d": "x\n"}),
        ("echo x > .hidden", {"/.hidden": "x\n"}),
        ("echo changed > /pfs/data/in; cp /pfs/data/in .", {"/in": "changed\n"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_stored(lab: Any, run: Any, script: str, files: dict[str, str]) -> None:
    pipeline = run(script)
    assert lab.counts(pipeline) == "SUCCESS p1 t1", lab.logs(pipeline, user=False)
    assert lab.files(pipeline) == files


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo x > 'a*b'", "path (/a*b) invalid: globbing character (*) not allowed in path"),
        ("echo x > é", "path (/é) invalid: only printable ASCII characters allowed"),
        ("echo x > $'\\xff'", "path (/?) invalid: only printable ASCII characters allowed"),
        ("ln -s /etc/passwd link", "/pfs/out/link is a link that leads out of /pfs"),
        ("ln -s ../../../../etc/passwd link", "/pfs/out/link is a link that leads out of /pfs"),
        ("ln -s /pfs/data/no link", "/pfs/out/link is a link to something that does not exist"),
        ("ln -s b a; ln -s a b", " is a loop of links"),
        ("mkdir d; ln -s .. d/up", "/pfs/out/d/up is a link to a directory above it"),
        ("mkdir a b; ln -s ../b a/l; ln -s ../a b/l", " is a link to a directory above it"),
        ("mkfifo pipe", "/pfs/out/pipe is neither a file nor a directory"),
        (
            "rmdir /pfs/out; ln -s /etc /pfs/out",
            "/pfs/out is no longer the directory that the code was given",
        ),
        (
            "rmdir /pfs/out; ln -s /pfs/data /pfs/out",
            "/pfs/out is no longer the directory that the code was given",
        ),
        ("rmdir /pfs/out", "/pfs/out is no longer the directory that the code was given"),
        ("rmdir /pfs/out; echo x > /pfs/out", "/pfs/out is no longer the directory that the code was given"),
    ],
)
def test_what_is_refused(lab: Any, run: Any, script: str, error: str) -> None:
    pipeline = run(script)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    (line,) = lab.logs(pipeline, user=False)
    assert line.startswith("errored running user code after ")
    assert line.endswith(error)
    assert lab.files(pipeline) == {}


def test_a_link_through_a_directory_that_was_replaced_is_not_followed(lab: Any, run: Any) -> None:
    pipeline = run("rm -r /pfs/data/dir", "ln -s /etc /pfs/data/dir", "ln -s /pfs/data/dir/passwd stolen")
    assert lab.counts(pipeline) == "FAILURE f1 t1"


def test_failed_code_leaves_no_output(lab: Any, run: Any) -> None:
    pipeline = run("echo x > a", "exit 1")
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    assert lab.files(pipeline) == {}


def test_each_try_begins_anew(lab: Any) -> None:
    repo = lab.repo(a="1")
    script = ("ls /pfs/out | wc -l", "touch /pfs/out/x", "exit 1")
    pipeline = lab.pipeline(repo, *script, datum_tries=2)
    lab.job(pipeline)
    assert lab.logs(pipeline) == ["0", "0"]


def test_a_large_output_has_the_content_and_size_it_was_given(lab: Any, run: Any) -> None:
    pipeline = run("head -c 3000000 /dev/zero | tr '\\0' x > big")
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.read(pipeline, "/big") == "x" * 3_000_000
    assert lab.job(pipeline).stats.upload_bytes == 3_000_000


def test_whatever_code_leaves_behind_is_removed(lab: Any, run: Any, scratch: Any) -> None:
    """Directories that nobody may enter, and deeper ones than Python's stack."""
    deep = "import os; [(os.mkdir('d'), os.chdir('d')) for _ in range(1100)]"
    pipeline = run("cd /pfs/data", "mkdir -p x/y/z", "chmod -R 000 x", f'python -c "{deep}"')
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert list(scratch.iterdir()) == []


def test_a_name_too_long_for_this_machine_is_an_error_of_its_datum(lab: Any) -> None:
    repo = lab.repo(**{"n" * 300: "x", "short": "y"})
    pipeline = lab.pipeline(repo, "cp /pfs/*/* /pfs/out/ 2> /dev/null", datum_tries=1)
    assert lab.counts(pipeline) == "FAILURE p1 f1 t2"
    (line,) = lab.logs(pipeline, user=False)
    assert line.endswith(f"/pfs/{repo}/{'n' * 300} cannot be written: File name too long")


def test_an_input_name_too_long_for_this_machine_is_an_error_of_its_datum(lab: Any) -> None:
    node = {"pfs": {"repo": lab.repo(a="x"), "name": "n" * 300, "glob": "/*"}}
    pipeline = lab.pipeline(node, "true", datum_tries=1)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    (line,) = lab.logs(pipeline, user=False)
    assert line.endswith(f"/pfs/{'n' * 300} cannot be made: File name too long")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths and names that pachd 2.12 takes, and its words for those that it refuses."""

from __future__ import annotations

import string

import grpc
import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _pfs_paths
from pachd_embedded.errors import PachError
from pachd_embedded.pfs import names
from pachd_embedded.pfs.paths import clean_delete_path, clean_read_path, clean_write_path

PRINTABLE = "only printable ASCII characters allowed"
RELATIVE = "relative file paths are not allowed"
GLOB = "*?[]{}!()@+^"
PLAIN = "".join(c for c in string.printable if c.isprintable() and c not in GLOB + "/.")


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("a", "/a"),
        ("/a", "/a"),
        ("//a//b", "/a/b"),
        ("a/", "/a"),
        ("/", "/"),
        ("...", "/..."),
        (".a/b..c", "/.a/b..c"),
        (" ", "/ "),
        *((f"x{character}y", f"/x{character}y") for character in PLAIN),
    ],
)
def test_write_paths_taken(path: str, stored: str) -> None:
    assert _pfs_paths.write_refusal(path) is None
    assert clean_write_path(path) == stored


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", PRINTABLE),
        ("a\n", PRINTABLE),
        ("a\tb", PRINTABLE),
        ("a\x7f", PRINTABLE),
        ("caf\u00e9", PRINTABLE),
        ("\u00e9*", PRINTABLE),
        (".", RELATIVE),
        ("..", RELATIVE),
        ("a/../b", RELATIVE),
        ("/a/.", RELATIVE),
        ("./a", RELATIVE),
        ("../a*[", "globbing character (*) not allowed in path"),
        *((f"x{character}y", f"globbing character ({character}) not allowed in path") for character in GLOB),
    ],
)
def test_write_paths_refused(path: str, why: str) -> None:
    text = f"path ({path}) invalid: {why}"
    assert _pfs_paths.write_refusal(path) == text
    for check in (clean_write_path, clean_delete_path):
        with pytest.raises(PachError) as caught:
            check(path)
        assert (caught.value.code, caught.value.text) == (grpc.StatusCode.UNKNOWN, text)


@pytest.mark.parametrize(("path", "cleaned"), [("a", "/a"), ("/d/", "/d/"), ("d//e//", "/d/e/"), ("/", "/")])
def test_delete_paths_keep_the_slash_of_a_directory(path: str, cleaned: str) -> None:
    assert clean_delete_path(path) == cleaned


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("", "/"),
        (".", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/..", "/"),
        ("a", "/a"),
        ("./a", "/a"),
        ("/b/../a", "/a"),
        ("//a", "/a"),
        ("a/", "/a"),
        ("/a/./b//c/", "/a/b/c"),
        ("../a", "/../a"),
        ("b/..", "/"),
    ],
)
def test_read_paths(path: str, cleaned: str) -> None:
    assert clean_read_path(path) == cleaned


ALLOWED = "only alphanumeric characters, underscores, and dashes are allowed"
COMMIT_ID = "0123456789ab4def0123456789abcdef"


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (names.check_repo_name, "a"),
        (names.check_repo_name, "-A_9"),
        (names.check_repo_name, "x" * 1000),
        (names.check_repo_name, COMMIT_ID),
        (names.check_branch_name, "-A_9"),
        (names.check_branch_name, COMMIT_ID.upper()),
        (names.check_branch_name, COMMIT_ID + "0"),
        (names.check_branch_name, COMMIT_ID.replace("4d", "5d")),
        (names.check_project_name, "9-a_"),
        (names.check_project_name, "p" * 51),
        (names.check_pipeline_name, "9-a_"),
        (names.check_pipeline_name, "p" * 51),
    ],
)
def test_names_taken(check: object, name: str) -> None:
    assert callable(check)
    check(name)


@pytest.mark.parametrize(
    ("check", "name", "text"),
    [
        (names.check_repo_name, "", f"name () invalid: {ALLOWED}"),
        (names.check_repo_name, "a b", f"name (a b) invalid: {ALLOWED}"),
        (names.check_repo_name, "a\n", f"name (a\n) invalid: {ALLOWED}"),
        (names.check_repo_name, "\u00e9", f"name (\u00e9) invalid: {ALLOWED}"),
        (names.check_branch_name, "", f"name () invalid: {ALLOWED}"),
        (names.check_branch_name, "a.b", f"name (a.b) invalid: {ALLOWED}"),
        (names.check_branch_name, COMMIT_ID, "branch name cannot be a UUID V4"),
        (names.check_project_name, "", f"invalid project name: name () invalid: {ALLOWED}"),
        (names.check_project_name, "a.b", f"invalid project name: name (a.b) invalid: {ALLOWED}"),
        (
            names.check_project_name,
            "-a",
            "invalid project name: project names must start with an alphanumeric character",
        ),
        (
            names.check_project_name,
            "p" * 53,
            f'invalid project name: project name "{"p" * 53}" is 2 characters longer than the 51 max',
        ),
        (names.check_pipeline_name, "", "invalid pipeline spec: request.Pipeline.Name cannot be empty"),
        (names.check_pipeline_name, "a b", f"invalid pipeline name: name (a b) invalid: {ALLOWED}"),
        (names.check_pipeline_name, "a.1", f"invalid pipeline name: name (a.1) invalid: {ALLOWED}"),
        (names.check_pipeline_name, "a^^", f"invalid pipeline name: name (a^^) invalid: {ALLOWED}"),
        (names.check_pipeline_name, "a.b", 'invalid ancestry syntax "a.b", cannot mix . and b characters'),
        (names.check_pipeline_name, "a^^~", 'invalid ancestry syntax "a^^~", cannot mix ^ and ~ characters'),
        (names.check_pipeline_name, "-a", "pipeline names must start with an alphanumeric character"),
        (names.check_pipeline_name, "_a", "pipeline names must start with an alphanumeric character"),
        (
            names.check_pipeline_name,
            "p" * 52,
            f'pipeline name "{"p" * 52}" is 1 characters longer than the 51 max',
        ),
    ],
)
def test_names_refused(check: object, name: str, text: str) -> None:
    assert callable(check)
    with pytest.raises(PachError) as caught:
        check(name)
    assert (caught.value.code, caught.value.text) == (grpc.StatusCode.UNKNOWN, text)


def test_a_pipeline_in_a_project_with_a_long_name_has_to_be_short() -> None:
    names.check_pipeline_name("p" * 8, "J_" + "j" * 48)
    with pytest.raises(PachError) as caught:
        names.check_pipeline_name("P_" + "p" * 8, "J_" + "j" * 48)
    controller = f"j-{'j' * 48}-p-{'p' * 8}-v99"
    assert caught.value.text == f'Kubernetes name "{controller}" is 2 characters longer than the 63 max'

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fetch writes, as a table: files there, files here, and the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._fetch_plan import (
    SHOWN_PATHS,
    Fetch,
    Here,
    LocalChange,
    plan_fetch,
    refuse_shared,
    to_hash,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._wire import RemoteFile

Content = dict[str, str]  # path -> content; a directory ends with a slash


def declared(dest: str = "/out") -> Fetch:
    return Fetch("default", "data", "master", "", "/**", dest)


def remote_files(content: Content) -> list[RemoteFile]:
    return [RemoteFile(path, len(text), text.encode(), path.endswith("/")) for path, text in content.items()]


class At(dict[str, Here]):
    """What is at local paths; nothing at those that are not in it."""

    def __missing__(self, _path: str) -> Here:
        return Here()


def plan(remote: Content, local: Content, mode: int | None = None, found: Sequence[str] = ()) -> LocalChange:
    here_at = At({path: Here(len(text), 0o644) for path, text in local.items()})
    fetch = replace(declared(), mode=mode)
    return plan_fetch(fetch, remote_files(remote), here_at, lambda path: local[path].encode(), found)


@pytest.mark.parametrize(
    ("remote", "local", "added", "updated", "unchanged"),
    [
        ({}, {}, [], [], 0),
        ({}, {"/out/mine": "1"}, [], [], 0),
        ({"/": "", "/d/": "", "/d/b": "1", "/a": "1"}, {}, ["/a", "/d/b"], [], 0),
        ({"/a": "1"}, {"/out/a": "1"}, [], [], 1),
        ({"/a": "1"}, {"/out/a": "2"}, [], ["/a"], 0),
        ({"/a": "1"}, {"/out/a": "22"}, [], ["/a"], 0),
        ({"/a": "1"}, {"/a": "1"}, ["/a"], [], 0),
        ({"/a": "", "/b": "x"}, {"/out/a": ""}, ["/b"], [], 1),
    ],
)
def test_table(remote: Content, local: Content, added: list[str], updated: list[str], unchanged: int) -> None:
    change = plan(remote, local)
    assert change.paths() == {"added": added, "updated": updated, "modes": [], "deleted": []}
    assert change.unchanged == unchanged
    assert bool(change) == bool(added or updated)
    assert [file.path for file in change.downloads] == sorted(added + updated)


def test_hash_is_asked_only_where_the_size_is_equal() -> None:
    def hash_of(path: str) -> bytes:
        raise AssertionError(path)

    remote, here_at = remote_files({"/a": "1", "/b": "22"}), At({"/out/a": Here(2), "/out/b": Here(2)})
    assert to_hash(declared(), remote, here_at) == ["/out/b"]
    assert plan_fetch(declared(), remote[:1], here_at, hash_of, []).updated


def test_modes_count_where_one_is_given() -> None:
    assert not plan({"/a": "1"}, {"/out/a": "1"})
    assert not plan({"/a": "1"}, {"/out/a": "1"}, mode=0o644)
    change = plan({"/a": "1", "/b": "2"}, {"/out/a": "1", "/out/b": "x"}, mode=0o600)
    assert change.counts() == {"added": 0, "updated": 1, "modes": 1, "deleted": 0, "unchanged": 0}
    assert (change.before()["/a"], change.after()["/a"]) == ("mode 0644", "mode 0600")


def test_what_is_found_and_not_declared_is_deleted() -> None:
    change = plan({"/a": "1", "/d/": ""}, {"/out/a": "1"}, found=["/z", "/a", "/d/b"])
    assert change.deleted == ("/d/b", "/z")
    assert change.before() == {"/d/b": "extraneous", "/z": "extraneous"}
    assert change.after() == {}


@pytest.mark.parametrize(
    ("glob", "scope"),
    [
        ("/**", ""),
        ("**", ""),
        ("/a/**", "/a"),
        ("a/b/**", "/a/b"),
        ("/*", None),
        ("/a*/**", None),
        ("/a", None),
    ],
)
def test_scope(glob: str, scope: str | None) -> None:
    assert replace(declared(), glob=glob).scope == scope


def test_a_fetch_may_not_delete_what_another_one_writes() -> None:
    one, two = remote_files({"/a": "1"}), remote_files({"/b": "1"})
    deleting = replace(declared(), delete=True)
    refuse_shared([deleting, declared("/other")], [one, two])
    refuse_shared([replace(deleting, glob="/sub/**"), declared()], [one, two])
    with pytest.raises(
        PachydermError, match=r"fetches\[0\]: delete would remove /out/b, which fetches\[1\] wri"
    ):
        refuse_shared([deleting, declared()], [one, two])


def test_everything_in_the_way_is_named_at_once() -> None:
    here_at = {path: Here(problem=f"{path} is odd") for path in ("/out/a", "/out/b")}
    with pytest.raises(PachydermError, match=r"^default/data@master: /out/a is odd; /out/b is odd; move"):
        plan_fetch(declared(), remote_files({"/b": "", "/a": ""}), here_at, lambda _: b"", [])


def test_a_path_that_climbs_is_refused() -> None:
    with pytest.raises(PachydermError, match=r"/\.\./a"):
        plan({"/../a": "1"}, {})


def test_two_fetches_may_share_directories_but_no_file() -> None:
    shared = remote_files({"/d/": "", "/d/a": "1"})
    refuse_shared([declared("/one"), declared("/two")], [shared, shared])
    refuse_shared([declared(), declared()], [shared, remote_files({"/d/": "", "/d/b": "1"})])
    with pytest.raises(PachydermError, match=r"fetches\[1\]: /out/d/a is written by fetches\[0\] too"):
        refuse_shared([declared(), declared()], [shared, shared])


def test_lists_are_short_and_say_so() -> None:
    change = plan({f"/f{number:04d}": "x" for number in range(SHOWN_PATHS + 7)}, {})
    assert len(change.paths()["added"]) == SHOWN_PATHS
    assert change.after()["..."] == "7 more paths change"
    assert change.counts()["added"] == SHOWN_PATHS + 7

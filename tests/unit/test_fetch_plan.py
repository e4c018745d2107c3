# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fetch writes, as a table: files there, files here, and the change."""

from __future__ import annotations

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._fetch_plan import (
    SHOWN_PATHS,
    Fetch,
    Here,
    LocalChange,
    plan_fetch,
    refuse_shared,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._wire import RemoteFile

Content = dict[str, str]  # path -> content; a directory ends with a slash


def declared(dest: str = "/out") -> Fetch:
    return Fetch("default", "data", "master", "", "/**", dest)


def remote_files(content: Content) -> list[RemoteFile]:
    return [RemoteFile(path, len(text), text.encode(), path.endswith("/")) for path, text in content.items()]


def plan(remote: Content, local: Content) -> LocalChange:
    def look(path: str) -> Here:
        return Here(len(local[path])) if path in local else Here()

    return plan_fetch(declared(), remote_files(remote), look, lambda path: local[path].encode())


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
    assert change.paths() == {"added": added, "updated": updated}
    assert change.unchanged == unchanged
    assert bool(change) == bool(added or updated)
    assert [file.path for file in change.downloads] == sorted(added + updated)


def test_hash_is_asked_only_where_the_size_is_equal() -> None:
    def hash_of(path: str) -> bytes:
        raise AssertionError(path)

    assert plan_fetch(declared(), remote_files({"/a": "1"}), lambda _: Here(2), hash_of).updated


def test_everything_in_the_way_is_named_at_once() -> None:
    def look(path: str) -> Here:
        return Here(problem=f"{path} is odd")

    with pytest.raises(PachydermError, match=r"^default/data@master: /out/a is odd; /out/b is odd; move"):
        plan_fetch(declared(), remote_files({"/b": "", "/a": ""}), look, lambda _: b"")


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

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sync changes, as a table: declared files, files there, and the change."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._local_tree import LocalFile
from ansible_collections.gpulab.pachyderm.plugins.module_utils._sync_plan import (
    SHOWN_PATHS,
    Sync,
    TreeChange,
    plan_sync,
)
from ansible_collections.gpulab.pachyderm.plugins.module_utils._wire import RemoteFile

Content = dict[str, str]  # path -> content; a directory ends with a slash


def plan(local: Content, remote: Content, **options: Any) -> TreeChange:
    sync = Sync(
        **{"src": "src", "project": "default", "repo": "data", "branch": "master", "dest": "/", **options}
    )
    files = [LocalFile(path, path, len(text)) for path, text in sorted(local.items())]
    there = [RemoteFile(path, len(text), text.encode(), path.endswith("/")) for path, text in remote.items()]
    return plan_sync(sync, files, there, lambda file: local[file.path].encode())


@pytest.mark.parametrize(
    ("local", "remote", "options", "added", "updated", "deleted", "unchanged"),
    [
        ({}, {}, {}, [], [], [], 0),
        ({"/a": "1"}, {}, {}, ["/a"], [], [], 0),
        ({"/a": "1"}, {"/a": "1"}, {}, [], [], [], 1),
        ({"/a": "1"}, {"/a": "2"}, {}, [], ["/a"], [], 0),
        ({"/a": "1"}, {"/a": "22"}, {}, [], ["/a"], [], 0),
        ({"/a": "1"}, {"/b": "1"}, {}, ["/a"], [], [], 0),
        ({"/a": "1"}, {"/b": "1"}, {"delete": True}, ["/a"], [], ["/b"], 0),
        ({}, {"/b/": "", "/b/c": "1"}, {"delete": True}, [], [], ["/b/c"], 0),
        ({"/d/a": "1"}, {"/d/": "", "/d/x": "1"}, {"delete": True, "dest": "/d"}, ["/d/a"], [], ["/d/x"], 0),
        ({"/d/a": "1"}, {"/dx": "1"}, {"delete": True, "dest": "/d"}, ["/d/a"], [], [], 0),
        ({"/a/b": "1"}, {"/a": "1"}, {"delete": True}, ["/a/b"], [], ["/a"], 0),
        ({"/a": "1"}, {"/a/": "", "/a/b": "1"}, {"delete": True}, ["/a"], [], ["/a/b"], 0),
    ],
)
def test_table(
    local: Content,
    remote: Content,
    options: dict[str, Any],
    added: list[str],
    updated: list[str],
    deleted: list[str],
    unchanged: int,
) -> None:
    change = plan(local, remote, **options)
    assert change.paths() == {"added": added, "updated": updated, "deleted": deleted}
    assert change.unchanged == unchanged
    assert bool(change) == bool(added or updated or deleted)


@pytest.mark.parametrize(
    ("local", "remote", "options"),
    [
        ({"/a/b": "1"}, {"/a": "1"}, {}),
        ({"/a": "1"}, {"/a/": "", "/a/b": "1"}, {}),
        ({"/a/b": "1"}, {"/a": "1"}, {"delete": True, "dest": "/a"}),
        ({"/a/b/c": "1"}, {"/a": "1"}, {"delete": True, "dest": "/a/b"}),
    ],
)
def test_what_may_not_be_deleted_is_in_the_way(
    local: Content, remote: Content, options: dict[str, Any]
) -> None:
    with pytest.raises(PachydermError, match=r"default/data@master: /a is a "):
        plan(local, remote, **options)


def test_hash_is_asked_only_where_the_size_is_equal() -> None:
    sync = Sync("src", "default", "data", "master", "/")
    local = [LocalFile("/a", "a", 1), LocalFile("/b", "b", 2), LocalFile("/c", "c", 3)]
    there = [RemoteFile("/a", 1, b"", False), RemoteFile("/b", 1, b"", False)]
    asked = []

    def hash_of(file: LocalFile) -> bytes:
        asked.append(file.path)
        return b""

    plan_sync(sync, local, there, hash_of)
    assert asked == ["/a"]


def test_lists_are_short_and_say_so() -> None:
    change = plan({f"/f{number:04d}": "x" for number in range(SHOWN_PATHS + 7)}, {})
    assert len(change.paths()["added"]) == SHOWN_PATHS
    assert change.after()["..."] == "7 more paths change"
    assert change.counts()["added"] == SHOWN_PATHS + 7

# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_sync."""

from __future__ import annotations

from typing import Any

from pachyderm_sdk.api import pfs

from .case import MISSING, NAMED, Case, Left, Step, Table, listed
from .disk import silently

NO_STATE = Left("it has no state: `delete` takes away what is not in the tree")


def world(lab: Any) -> None:
    """Two repos, one in another project, and trees of files."""
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}, {"name": "data", "project": "vision"}])
    for path in ("tree/a.csv", "tree/b.txt", "tree/tmp/c.csv", "two/d.csv", "none/"):
        file = lab.directory / path
        (file if path.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            file.write_text(path)


def filled(lab: Any) -> None:
    """The repo holds what the tree does not."""
    if not (lab.directory / "tree").exists():
        world(lab)
    for path in ("/old.csv", "/tmp/old.txt"):
        lab.put(path, b"old")


def paths(lab: Any) -> list[str]:
    return sorted(lab.files())


def written(name: str, content: str = "new") -> Any:
    """A file of the tree is another one, before a step."""
    return lambda lab: (lab.directory / name).write_text(content) and None


def told(lab: Any) -> str:
    """What the newest commit is called."""
    head = pfs.Commit.from_uri("data@master")
    return str(lab.client.pfs.inspect_commit(commit=head).description)


def changed_paths(lab: Any) -> list[str]:
    return sorted(path for path, content in lab.files().items() if b"X" in content)


TREE = {"src": "{directory}/tree", "repo": "data"}
OLD = ["/old.csv", "/tmp/old.txt"]
FILES = ["/a.csv", "/b.txt", "/tmp/c.csv"]
CASES = [
    Case(
        "src",
        Step("{directory}/tree", sees=FILES),
        Step("{directory}/two/", sees=["/a.csv", "/b.txt", "/d.csv", "/tmp/c.csv"]),
        NAMED,
        given={"repo": "data"},
    ),
    Case(
        "repo",
        Step("data", sees=FILES),
        Step("other", sees=FILES),
        Step(fails="repo: is required"),
        given={"src": "{directory}/tree"},
    ),
    Case(
        "project",
        Step("vision", sees=["vision"]),
        Step("default", sees=["default"]),
        Step(changed=False, sees=["default"]),
        given=TREE,
        look="syncs[].project",
    ),
    Case(
        "branch",
        Step("dev", sees=["dev"]),
        Step("master", sees=["master"]),
        Step(changed=False, sees=["master"]),
        given=TREE,
        look="syncs[].branch",
    ),
    Case(
        "dest",
        Step("/x", sees=["/x/d.csv"]),
        Step("/y/z", sees=["/x/d.csv", "/y/z/d.csv"]),
        Step(sees=["/d.csv", "/x/d.csv", "/y/z/d.csv"]),
        given={**TREE, "src": "{directory}/two"},
    ),
    Case(
        "delete",
        Step(True, sees=FILES),
        Step(False, before=filled, changed=False, sees=sorted([*FILES, *OLD])),
        Step(changed=False, sees=sorted([*FILES, *OLD])),
        given=TREE,
        world=filled,
    ),
    Case(
        "allow_empty",
        Step(True, sees=[]),
        Step(False, before=filled, fails="holds no file"),
        Step(fails="holds no file"),
        given={"src": "{directory}/none", "repo": "data", "delete": True},
        world=filled,
    ),
    Case(
        "description",
        Step("week 1", sees="week 1"),
        Step("week 2", before=written("tree/b.txt"), sees="week 2"),
        Step(before=written("tree/b.txt", "newer"), sees="pachyderm_sync: 0 added, 1 updated, 0 deleted"),
        given=TREE,
        look=told,
    ),
    Case(
        "include",
        Step(["*.csv"], sees=["/a.csv", "/tmp/c.csv"]),
        Step(["b.*"], sees=FILES),
        Step(changed=False),
        given=TREE,
    ),
    Case(
        "exclude",
        Step(["*.csv"], sees=["/b.txt"]),
        Step(["/a.csv"], sees=["/b.txt", "/tmp/c.csv"]),
        Step(sees=FILES),
        given=TREE,
    ),
    Case(
        "checksum",
        Step("cached", sees=[]),
        Step("always", before=silently("tree/a.csv"), sees=["/a.csv"]),
        Step(before=silently("tree/b.txt"), changed=False, sees=["/a.csv"]),
        given=TREE,
        look=changed_paths,
    ),
]
ONE = {"src": "{directory}/tree"}
TABLES = [
    Table(
        "sync",
        [
            *CASES,
            Case(
                "syncs",
                Step([ONE], sees=FILES),
                Step([ONE, {**ONE, "dest": "/z"}], sees=[*FILES, "/z/a.csv", "/z/b.txt", "/z/tmp/c.csv"]),
                NAMED,
                given={"repo": "data"},
            ),
            *listed("syncs", CASES, src={"omitted": MISSING}),
        ],
        world=world,
        absent=NO_STATE,
        look=paths,
        varies=("syncs",),
    )
]

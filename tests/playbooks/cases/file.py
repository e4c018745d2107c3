# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_file."""

from __future__ import annotations

from typing import Any

from .case import MISSING, NAMED, Case, Left, Step, Table, listed

FILE = {"repo": "data", "path": "/conf/a"}


def world(lab: Any) -> None:
    """Two repos, one in another project, and local files."""
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}, {"name": "data", "project": "vision"}])
    for name in ("one", "two"):
        (lab.directory / name).write_text(name)


def renewed(lab: Any) -> None:
    """The file was fetched, and what is behind its URL is another content by now."""
    world(lab)
    lab.run("file", **FILE, url="file://{directory}/one")
    (lab.directory / "one").write_text("ONE")


def renewed_again(lab: Any) -> None:
    (lab.directory / "one").write_text("1")


def contents(lab: Any) -> list[str]:
    return [content.decode() for content in lab.files().values()]


TEXT = {**FILE, "content": "text"}
CASES = [
    Case("path", Step("/a"), Step("b/c"), NAMED, given={"repo": "data", "content": "x"}, look="files[].path"),
    Case(
        "repo",
        Step("data"),
        Step("other"),
        Step(fails="repo: is required"),
        given={"path": "/a", "content": "x"},
    ),
    Case(
        "branch",
        Step("dev", sees=["dev"]),
        Step("master", sees=["master"]),
        Step(changed=False, sees=["master"]),
        given=TEXT,
        look="files[].branch",
    ),
    Case(
        "project",
        Step("vision", sees=["vision"]),
        Step("default", sees=["default"]),
        Step(changed=False, sees=["default"]),
        given=TEXT,
        look="files[].project",
    ),
    Case(
        "content",
        Step("text", sees=["text"]),
        Step(12, sees=["12"]),
        Step(fails="exactly one of content, src and url"),
        given=FILE,
        look=contents,
    ),
    Case(
        "src",
        Step("{directory}/one", sees=["one"]),
        Step("{directory}/two", sees=["two"]),
        Step(fails="exactly one of content, src and url"),
        given=FILE,
        look=contents,
    ),
    Case(
        "url",
        Step("file://{directory}/one", sees=["one"]),
        Step("file://{directory}/two", changed=False, sees=["one"]),
        Step(fails="exactly one of content, src and url"),
        given=FILE,
        look=contents,
    ),
    Case(
        "force",
        Step(True, sees=["ONE"]),
        Step(False, changed=False, sees=["ONE"], before=renewed_again),
        Step(changed=False, sees=["ONE"]),
        again=Left("the file is fetched again each time"),
        world=renewed,
        given={**FILE, "url": "file://{directory}/one"},
        look=contents,
    ),
    Case("state", Step("present"), Step("absent"), Step(), given=TEXT),
]
ONE = {"path": "/a", "content": "x"}
TABLES = [
    Table(
        "file",
        [
            *CASES,
            Case("files", Step([ONE]), Step([ONE, {**ONE, "path": "/b"}]), NAMED, given={"repo": "data"}),
            *listed("files", CASES, path={"omitted": MISSING}),
        ],
        world=world,
        settings=lambda directory: {"source_dirs": (directory,)},
    )
]

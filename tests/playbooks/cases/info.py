# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_info: what it returns."""

from __future__ import annotations

import base64
from typing import Any

from ..pipelines import spec
from .case import READS, Case, Left, Step, Table


def world(lab: Any) -> dict[str, str]:
    """Two projects, repos, commits, branches, and two pipelines with their jobs, one of which failed."""
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "images", "project": "vision"}])
    lab.put("/a.txt", b"a\n")
    lab.put("/b.bin", b"\xff\x00b")
    lab.run("branch", repo="data", name="old", head="master^")
    env = {"cmd": ["sh"], "stdin": ["echo here; test ! -e /pfs/data/a.txt"], "env": {"KEY": "hush"}}
    lab.run("pipeline", pipeline=spec("p"), wait=True, wait_timeout=60)
    failing = spec("q", transform=env, datum_tries=1)
    lab.run("pipeline", pipeline=failing, wait=True, wait_timeout=60)
    query = {"gather": ["commits"], "repo": "data", "query": "commits[].id"}
    newest, older = lab.run("info", **query)["result"]
    jobs = {
        name: lab.run("info", gather=["jobs"], pipeline=name, query="jobs[0].id")["result"] for name in "pq"
    }
    asked = {"gather": ["datums"], "pipeline": "q", "query": "sort_by(datums, &state)[].id"}
    failed, good = lab.run("info", **asked)["result"]
    return {"newest": newest, "older": older, "p": jobs["p"], "q": jobs["q"], "failed": failed, "good": good}


def case(
    option: str, look: str, first: tuple[Any, Any], second: tuple[Any, Any], omitted: Any, **given: Any
) -> Case:
    """`first` and `second` are values and what is seen with them; `omitted` is what is seen without."""
    return Case(
        option,
        Step(first[0], changed=False, sees=first[1]),
        Step(second[0], changed=False, sees=second[1]),
        omitted if isinstance(omitted, Step | Left) else Step(changed=False, sees=omitted),
        given=given,
        look=look,
    )


TEXTS = ["a\n", base64.b64encode(b"\xff\x00b").decode()]
TABLES = [
    Table(
        "info",
        [
            case(
                "gather",
                "keys(@)[?contains(['projects', 'repos', 'pipelines', 'jobs'], @)] | sort(@)",
                (["projects"], ["projects"]),
                (["repos", "jobs"], ["jobs", "repos"]),
                ["jobs", "pipelines", "repos"],
            ),
            case(
                "project",
                "repos[].name | sort(@)",
                ("vision", ["images"]),
                ("default", ["data", "p", "q"]),
                ["data", "images", "p", "q"],
            ),
            case("repo", "length(repos)", ("data", 1), ("nope", 0), 4),
            case(
                "branch",
                "commits[].id",
                ("old", ["{older}"]),
                ("master", ["{newest}", "{older}"]),
                ["{newest}", "{older}"],
                gather=["commits"],
                repo="data",
            ),
            case(
                "commit",
                "files[].path",
                ("{older}", ["/a.txt"]),
                ("{newest}", ["/a.txt", "/b.bin"]),
                ["/a.txt", "/b.bin"],
                gather=["files"],
                repo="data",
            ),
            case("pipeline", "pipelines[].name | sort(@)", ("p", ["p"]), ("q", ["q"]), ["p", "q"]),
            case(
                "job",
                "jobs[].pipeline | sort(@)",
                ("{p}", ["p"]),
                ("{q}", ["q"]),
                ["p", "q"],
                gather=["jobs"],
            ),
            case(
                "datum",
                "logs[0].datum",
                ("{failed}", "{failed}"),
                ("{good}", "{good}"),
                Left("the order of two datums' lines is open"),
                gather=["logs"],
                pipeline="q",
                job="{q}",
            ),
            case(
                "datum_states",
                "datums[].id",
                (["failed"], ["{failed}"]),
                (["success"], ["{good}"]),
                Left("the order of the datums is open; max_datums counts them"),
                gather=["datums"],
                pipeline="q",
            ),
            case(
                "glob",
                "files[].path",
                ("/*.txt", ["/a.txt"]),
                ("/b*", ["/b.bin"]),
                ["/a.txt", "/b.bin"],
                gather=["files"],
                repo="data",
            ),
            case("content", "files[].content", (True, TEXTS), (False, []), [], gather=["files"], repo="data"),
            case(
                "env",
                "pipelines[].user_spec.transform.env.KEY",
                (True, ["hush"]),
                (False, ["(hidden)"]),
                ["(hidden)"],
                gather=["pipelines"],
                pipeline="q",
            ),
            case(
                "max_content_bytes",
                "files[].content",
                (1, []),
                (2, TEXTS[:1]),
                TEXTS,
                gather=["files"],
                repo="data",
                content=True,
            ),
            case("max_commits", "length(commits)", (1, 1), (2, 2), 2, gather=["commits"], repo="data"),
            case("max_jobs", "length(jobs)", (1, 1), (2, 2), 2, gather=["jobs"]),
            case("max_datums", "length(datums)", (1, 1), (2, 2), 2, gather=["datums"], pipeline="q"),
            case(
                "max_log_lines",
                "length(logs) < `3`",
                (1, True),
                (2, True),
                False,
                gather=["logs"],
                pipeline="q",
            ),
            case("query", "result", ("repos[].name | sort(@) | [0]", "data"), ("length(repos)", 4), None),
        ],
        world=world,
        absent=READS,
    )
]

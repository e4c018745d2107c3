# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_fetch. Check mode leaves the local directory as it is; test_options.py looks."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

from .case import MISSING, NAMED, Case, Left, Step, Table, listed
from .disk import silently

NO_STATE = Left("it has no state: `delete` takes away what the commit does not hold")


def world(lab: Any) -> dict[str, str]:
    """Two commits in one repo, a file in another, and one in another project and in another branch."""
    lab.run("project", name="vision")
    lab.run("repo", repos=[{"name": "data"}, {"name": "other"}, {"name": "data", "project": "vision"}])
    lab.put("/a.txt", b"a")
    lab.put("/sub/b.csv", b"b")
    lab.put("/other", b"o", repo="other")
    lab.run("file", repo="data", project="vision", path="/v", content="v")
    lab.run("file", repo="data", branch="dev", path="/dev", content="dev")
    query = {"gather": ["commits"], "repo": "data", "query": "commits[].id"}
    newest, older = lab.run("info", branch="master", **query)["result"]
    return {"newest": newest, "older": older}


def stray(lab: Any) -> None:
    """Files that no commit holds."""
    for path in ("out/old", "out/none/old"):
        file = lab.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("old")


def with_stray(lab: Any) -> None:
    world(lab)
    stray(lab)


def emptied(lab: Any) -> None:
    shutil.rmtree(lab.directory / "out")


def out(lab: Any) -> list[Path]:
    return sorted((lab.directory / "out").rglob("*"))


def paths(lab: Any) -> list[str]:
    return [str(path.relative_to(lab.directory / "out")) for path in out(lab) if path.is_file()]


def modes(lab: Any) -> list[str]:
    return sorted({f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in out(lab) if path.is_file()})


def directory_modes(lab: Any) -> list[str]:
    return sorted({f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in out(lab) if path.is_dir()})


def damaged_paths(lab: Any) -> list[str]:
    return [path for path in paths(lab) if b"X" in (lab.directory / "out" / path).read_bytes()]


DATA = {"repo": "data", "dest": "{directory}/out"}
FILES = ["a.txt", "sub/b.csv"]
CASES = [
    Case(
        "dest",
        Step("{directory}/out/1", sees=["1/a.txt", "1/sub/b.csv"]),
        Step("{directory}/out/2", sees=["1/a.txt", "1/sub/b.csv", "2/a.txt", "2/sub/b.csv"]),
        NAMED,
        given={"repo": "data"},
    ),
    Case(
        "repo",
        Step("data", sees=FILES),
        Step("other", sees=["a.txt", "other", "sub/b.csv"]),
        Step(fails="repo: is required"),
        given={"dest": "{directory}/out"},
    ),
    Case(
        "project",
        Step("vision", sees=["v"]),
        Step("default", sees=[*FILES, "v"]),
        Step(changed=False),
        given=DATA,
    ),
    Case(
        "branch",
        Step("dev", sees=["dev"]),
        Step("master"),
        Step(changed=False, sees=["a.txt", "dev", "sub/b.csv"]),
        given=DATA,
    ),
    Case(
        "commit",
        Step("{older}", sees=["a.txt"]),
        Step("{newest}", sees=FILES),
        Step(changed=False),
        given=DATA,
    ),
    Case(
        "glob",
        Step("/*.csv", changed=False, sees=[]),
        Step("/sub/**", sees=["sub/b.csv"]),
        Step(sees=FILES),
        given=DATA,
    ),
    Case(
        "mode",
        Step("0640", sees=["0640"]),
        Step("0600", sees=["0600"]),
        Step(changed=False),
        given=DATA,
        look=modes,
    ),
    Case(
        "directory_mode",
        Step("0750", sees=["0750"]),
        Step("0700", before=emptied, sees=["0700"]),
        Step(changed=False, sees=["0700"]),
        given=DATA,
        look=directory_modes,
    ),
    Case(
        "delete",
        Step(True, sees=FILES),
        Step(False, before=stray, changed=False, sees=["a.txt", "none/old", "old", "sub/b.csv"]),
        Step(changed=False, sees=["a.txt", "none/old", "old", "sub/b.csv"]),
        given=DATA,
        world=with_stray,
    ),
    Case(
        "allow_empty",
        Step(True, sees=["old"]),
        Step(False, before=stray, fails="takes no file, so delete would leave none"),
        Step(fails="takes no file, so delete would leave none"),
        given={**DATA, "glob": "/none/**", "delete": True},
        world=with_stray,
    ),
    Case(
        "checksum",
        Step("cached", sees=[]),
        Step("always", before=silently("out/a.txt"), sees=[]),
        Step(before=silently("out/a.txt"), changed=False, sees=["a.txt"]),
        given=DATA,
        look=damaged_paths,
    ),
]
ONE = {"dest": "{directory}/out", "glob": "/a.txt"}
TABLES = [
    Table(
        "fetch",
        [
            *CASES,
            Case(
                "fetches",
                Step([ONE], sees=["a.txt"]),
                Step([ONE, {**ONE, "glob": "/sub/**"}], sees=FILES),
                NAMED,
                given={"repo": "data"},
            ),
            *listed("fetches", CASES, dest={"omitted": MISSING}),
        ],
        world=world,
        absent=NO_STATE,
        look=paths,
    )
]
